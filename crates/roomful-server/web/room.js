/**
 * The room's page: the client module on one side, what is on the screen on the other.
 */

/** @import { MessageView, TransportKind } from "./types.js" */
import { Announcer } from "./announcer.js";
import { Room } from "./client.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { byId } from "./dom.js";
import { chooseLanguage, errorSentence, language, t, translate } from "./i18n.js";
import { Menu } from "./menu.js";
import { Naming } from "./naming.js";
import { People } from "./people.js";
import { reachByKeys } from "./reach.js";
import { rememberRoom } from "./recent.js";
import { Status } from "./status.js";
import { Timeline } from "./timeline.js";
import { TopicLine } from "./topic-line.js";
import { TypingLine } from "./typing.js";

const TRANSPORTS = ["websocket", "sse", "longpoll", "poll"];
const BYTES_ALLOWED = 16 * 1024;
const TOAST_MS = 3_000;

const name = decodeURIComponent(location.pathname.split("/")[2] ?? "").normalize();
const heading = `#${name}`;
const asked = new URLSearchParams(location.search).get("transport") ?? "";
const transport = TRANSPORTS.includes(asked) ? /** @type {TransportKind} */ (asked) : "auto";

translate(document);
byId("room-name", HTMLElement).textContent = heading;
byId("start", HTMLElement).textContent = t("beginning", { room: heading });
byId("text", HTMLTextAreaElement).placeholder = t("compose_placeholder", { room: heading });
byId("text", HTMLTextAreaElement).setAttribute("aria-label", t("compose_label", { room: heading }));

const naming = new Naming((chosen) => {
  room.rename(chosen);
  people.show(room.members, room.you.id);
});
const room = new Room({ room: name, name: naming.name, transport });
const conversation = new Conversation();
const timeline = new Timeline(conversation);
const people = new People();
const announcer = new Announcer();
const typing = new TypingLine();
const topicLine = new TopicLine((text) => room.setTopic(text));
const status = new Status(() => room.retryNow());
const composer = new Composer(
  {
    say: (text, replyTo) => {
      naming.settle();
      room.say(text, { replyTo });
    },
    edit: (seq, text) => room.edit(seq, text),
    typing: () => room.typing(),
    newestOwn: () => conversation.newestBy(room.you.id),
    bytesAllowed: () => room.limits?.message_bytes ?? BYTES_ALLOWED,
  },
  name,
);
const menu = new Menu({
  react: (message, emoji) => toggleReaction(message, emoji),
  reply: (message) => composer.reply(message),
  copy: (message) => void copyLink(`#m${message.seq}`),
  edit: (message) => composer.edit(message),
  remove: (message) => room.delete(message.seq),
});

room.on("history", (page) => {
  conversation.reset(page);
  timeline.reset();
  dropSettled();
  rememberRoom(name);
  showAddressed();
});
room.on("gap", ({ missed, ...page }) => {
  conversation.reset(page);
  timeline.reset(missed === null ? t("began_anew") : t("missed", { count: missed }));
  dropSettled();
});
room.on("message", (event) => {
  const own = event.from.id === room.you.id;
  const message = conversation.append(event);
  timeline.append(message, !document.hidden);
  if (event.id !== undefined) timeline.dropPending(event.id);
  typing.stopped(event.from.id);
  if (own) return;
  announcer.announce(message);
  if (document.hidden) showUnread(unread + 1);
});
for (const kind of /** @type {const} */ (["edited", "deleted", "reacted"])) {
  room.on(kind, (event) => {
    const message = conversation.change(event);
    if (message) timeline.redraw(message);
  });
}
room.on("topic", ({ text, event }) => {
  topicLine.show(text);
  if (event === undefined) return;
  const change = conversation.append(event);
  timeline.append(change, !document.hidden);
  if (event.from.id !== room.you.id) announcer.announce(change);
});
room.on("pending", (action) => action.kind === "say" && timeline.showPending(action));
room.on("failed", ({ code, action }) => {
  if (action?.kind === "say") timeline.showPending(action);
  else if (action) room.discard(action.id);
  const sentence = t("not_sent", { reason: errorSentence(code) });
  if (action) byId("alert", HTMLElement).textContent = sentence;
  if (action?.kind !== "say") toast(action ? sentence : errorSentence(code));
});
room.on("welcome", () => {
  timeline.setMe(room.you.id);
  naming.known(room.you.name);
  topicLine.show(room.topic);
});
room.on("said", () => timeline.setMe(room.you.id));
room.on("members", (members) => people.show(members, room.you.id));
room.on("renamed", ({ member }) => member.id === room.you.id && naming.known(member.name));
room.on("typing", (member) => member.id !== room.you.id && typing.types(member));
room.on("left", (member) => typing.stopped(member.id));
room.on("state", (state) => {
  status.show(state);
  const live = state.phase === "live";
  if (timeline.live === live) return;
  timeline.live = live;
  showUnsettled();
});

timeline.older = async (before) => (await room.history({ before })).messages;
timeline.onplace = (count, away) => {
  const jump = byId("jump", HTMLButtonElement);
  jump.hidden = !away;
  jump.textContent = count > 0 ? t("jump", { count }) : t("jump_none");
};

byId("jump", HTMLButtonElement).addEventListener("click", () => timeline.toEnd());
byId("language", HTMLButtonElement).addEventListener("click", () => chooseLanguage(language === "zh" ? "en" : "zh"));
byId("empty-copy", HTMLButtonElement).addEventListener("click", () => void copyLink(""));
byId("copy", HTMLButtonElement).addEventListener("click", () => import("./share.js").then(({ share }) => share(name)).catch(() => copyLink("")));
byId("messages", HTMLOListElement).addEventListener("click", clicked);
addEventListener("hashchange", showAddressed);
document.addEventListener("visibilitychange", () => (document.hidden ? timeline.leave() : showUnread(0)));
reachByKeys(byId("messages", HTMLOListElement));

/** What is known of the messages that wait or failed is drawn anew. */
function showUnsettled() {
  for (const action of room.unsettled) if (action.kind === "say") timeline.showPending(action);
}

/** After a page of messages: some of what waited may be in it. */
function dropSettled() {
  for (const { id } of conversation.messages) timeline.dropPending(id);
}

/** @param {MouseEvent} event */
function clicked(event) {
  const control = event.target instanceof Element ? event.target.closest("[data-do]") : null;
  if (!(control instanceof HTMLElement)) return;
  const message = timeline.messageAt(control);
  const id = control.closest("li[data-id]")?.getAttribute("data-id") ?? "";
  switch (control.dataset.do) {
    case "menu":
      return message && menu.open(control, message, message.from.id === room.you.id);
    case "react":
      return message && toggleReaction(message, control.dataset.emoji ?? "");
    case "show":
      event.preventDefault();
      return void timeline.show(Number(control.dataset.target));
    case "retry":
      return room.retry(id);
    case "discard":
      room.discard(id);
      timeline.dropPending(id);
      return composer.focus();
  }
}

/** @param {MessageView} message @param {string} emoji */
function toggleReaction(message, emoji) {
  const known = message.reactions?.find((reaction) => reaction.emoji === emoji);
  room.react(message.seq, emoji, !known?.members.includes(room.you.id ?? ""));
}

/** @param {string} hash */
async function copyLink(hash) {
  const link = location.origin + location.pathname + hash;
  // A page on plain HTTP from another machine has no clipboard.
  const done = (await navigator.clipboard?.writeText(link).then(() => true, () => false)) ?? false;
  toast(t(done ? "copied" : "copy_failed"));
  if (!done) history.replaceState(null, "", link);
}

/** `#m42` in the address means that message. */
function showAddressed() {
  const seq = Number(/^#m(\d+)$/.exec(location.hash)?.[1]);
  if (seq > 0) void timeline.show(seq);
}

let unread = 0;
/** @param {number} count */
function showUnread(count) {
  unread = count;
  document.title = `${count > 0 ? `(${count}) ` : ""}${heading} · Roomful`;
}

/** @type {number | undefined} */
let toastTimer = undefined;
/** @param {string} sentence */
function toast(sentence) {
  const element = byId("toast", HTMLElement);
  element.textContent = sentence;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (element.textContent = ""), TOAST_MS);
}

showUnread(0);
showUnsettled();
if (new URLSearchParams(location.search).has("embed")) void import("./embed-frame.js").then(({ embed }) => embed(room));
room.connect();

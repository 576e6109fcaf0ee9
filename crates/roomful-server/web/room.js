/**
 * The room's page: the client module on one side, what is on the screen on the other.
 */

/** @import { Later } from "./later.js" */
/** @import { MessageView, TransportKind } from "./types.js" */
import { Room } from "./client.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { byId } from "./dom.js";
import { errorSentence, t, translate } from "./i18n.js";
import { Names } from "./names-here.js";
import { Naming } from "./naming.js";
import { rememberRoom } from "./recent.js";
import { recall, remember } from "./storage.js";
import { Status } from "./status.js";
import { Timeline } from "./timeline.js";
import { TopicLine } from "./topic-line.js";
import { TypingLine } from "./typing.js";

const TRANSPORTS = ["websocket", "sse", "longpoll", "poll"];
const BYTES_ALLOWED = 16 * 1024;
const TOAST_MS = 3_000;

const name = decodeURIComponent(location.pathname.split("/")[2] ?? "").normalize();
const heading = `#${name}`;
const READ = `roomful:read:${name}`;
const asked = new URLSearchParams(location.search).get("transport") ?? "";
const transport = TRANSPORTS.includes(asked) ? /** @type {TransportKind} */ (asked) : "auto";

translate(document);
byId("room-name", HTMLElement).textContent = heading;
byId("start", HTMLElement).textContent = t("beginning", { room: heading });
byId("text", HTMLTextAreaElement).placeholder = t("compose_placeholder", { room: heading });
byId("text", HTMLTextAreaElement).setAttribute("aria-label", t("compose_label", { room: heading }));

const names = new Names();
const naming = new Naming({
  ask: async (question) => (await later()).ask(question),
  chosen: (chosen) => {
    names.mine = chosen;
    room.rename(chosen);
  },
});
names.mine = naming.name;
const room = new Room({ room: name, name: naming.name, transport });
const conversation = new Conversation();
const timeline = new Timeline(conversation, names);
const typing = new TypingLine();
const topicLine = new TopicLine({
  ask: async (question) => (await later()).ask(question),
  chosen: (text) => room.setTopic(text),
});
const status = new Status(() => room.retryNow());
const composer = new Composer(
  {
    say,
    command: (text) => later().then((page) => page.command(text)).catch(() => t("load_failed")),
    propose: async (beginning) => (await later()).propose(beginning),
    edit: (seq, text) => room.edit(seq, text),
    typing: () => room.typing(),
    newestOwn: () => conversation.newestBy(room.you.id),
    bytesAllowed: () => room.limits?.message_bytes ?? BYTES_ALLOWED,
  },
  name,
);

/** What the menu of a message does. */
const actions = {
  react: toggleReaction,
  reply: (/** @type {MessageView} */ message) => composer.reply(message),
  copy: (/** @type {MessageView} */ message) => void copyLink(`#m${message.seq}`),
  edit: (/** @type {MessageView} */ message) => composer.edit(message),
  remove: (/** @type {MessageView} */ message) => void room.delete(message.seq),
};

room.on("history", (page) => {
  conversation.reset(page);
  names.learn(page.messages.map(({ from }) => from));
  timeline.reset({ readUpTo: readUpTo(page.epoch) });
  dropSettled();
  rememberRoom(name);
  showAddressed();
});
room.on("gap", ({ missed, ...page }) => {
  conversation.reset(page);
  timeline.reset({ line: missed === null ? t("began_anew") : t("missed", { count: missed }) });
  dropSettled();
});
room.on("message", (event) => {
  const own = event.from.id === room.you.id;
  const message = conversation.append(event);
  names.learn([event.from]);
  timeline.append(message, !document.hidden);
  if (event.id !== undefined) timeline.dropPending(event.id);
  typing.stopped(event.from.id);
  if (own) return;
  if (document.hidden) showUnread(unread + 1);
  heard(message);
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
  if (event.from.id !== room.you.id) heard(change);
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
  naming.known(room.you.name);
  names.mine = room.you.name;
  names.learn(room.members.all());
  timeline.setMe(room.you.id);
  topicLine.show(room.topic);
});
room.on("said", () => timeline.setMe(room.you.id));
room.on("typing", (member) => member.id !== room.you.id && typing.types(member));
room.on("left", (member) => typing.stopped(member.id));
room.on("joined", (member) => names.learn([member]));
room.on("renamed", ({ member }) => {
  names.learn([member]);
  if (member.id !== room.you.id) return;
  names.mine = member.name;
  naming.known(member.name);
});
room.on("state", (state) => {
  status.show(state);
  const live = state.phase === "live";
  if (live) later().catch(() => {});
  if (timeline.live === live) return;
  timeline.live = live;
  showUnsettled();
});

timeline.older = async (before, limit) => (await room.history({ before, limit })).messages;
timeline.onplace = (count, away) => {
  const jump = byId("jump", HTMLButtonElement);
  jump.hidden = !away;
  jump.textContent = count > 0 ? t("jump", { count }) : t("jump_none");
};

byId("jump", HTMLButtonElement).addEventListener("click", () => timeline.toEnd());
byId("settings", HTMLButtonElement).addEventListener("click", () => open((page) => page.openSettings(byId("settings", HTMLButtonElement))));
byId("empty-copy", HTMLButtonElement).addEventListener("click", () => void copyLink(""));
byId("copy", HTMLButtonElement).addEventListener("click", () => import("./share.js").then(({ share }) => share(name)).catch(() => copyLink("")));
byId("messages", HTMLOListElement).addEventListener("click", clicked);
addEventListener("hashchange", showAddressed);
document.addEventListener("visibilitychange", () => (document.hidden ? leave() : showUnread(0)));

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
      return message && open((page) => page.openMenu(control, message));
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

/** @param {string} text @param {number} [replyTo] */
function say(text, replyTo) {
  naming.settle();
  room.say(text, { replyTo });
}

/** @type {Promise<Later> | null} */
let loading = null;
/** What is not needed to read and to write, once it is here. */
function later() {
  loading ??= import("./later.js").then(({ Later }) => new Later({ room, names, naming, composer, say, actions, show: (seq) => void timeline.show(seq) }));
  loading.catch(() => (loading = null));
  return loading;
}

/** @param {(page: Later) => void} what */
function open(what) {
  later().then(what, () => toast(t("load_failed")));
}

/** Others said something. @param {MessageView} message */
function heard(message) {
  const answers = conversation.get(message.reply_to ?? 0)?.from.id === room.you.id;
  later().then((page) => page.heard(message, answers || names.callsMe(message.text)), () => {});
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
  if (seq > 0) void timeline.show(seq).then((found) => found || toast(t("message_gone")));
}

/** What was here when the reader left is read. */
function leave() {
  timeline.leave();
  const { position } = room;
  if (position && timeline.following) remember(READ, `${position.epoch} ${position.seq}`);
}

/** @param {string | null} epoch @returns {number | undefined} how far this device has read on an earlier visit */
function readUpTo(epoch) {
  const [known, seq] = recall(READ)?.split(" ") ?? [];
  return known === epoch ? Number(seq) : undefined;
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

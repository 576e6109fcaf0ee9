/**
 * One message as a list item. It is drawn from what is known now and drawn again when that changes.
 */

/** @import { Names } from "./names-here.js" */
/** @import { Action, MessageView } from "./types.js" */
import { h, icon } from "./dom.js";
import { dayOf, errorSentence, fullTimeOf, isSameDay, t, timeOf } from "./i18n.js";
import { plainOf, textOf } from "./text.js";

const GROUPED_WITHIN_MS = 5 * 60_000;
const HUES = 8;
/** How a message begins that says what somebody does. */
const ACTION = "/me ";

/**
 * What a message needs to know beyond itself.
 * @typedef {object} Surroundings
 * @property {MessageView | null} previous
 * @property {MessageView | undefined} [answered] the message it replies to, where it is loaded
 * @property {string | undefined} me
 * @property {Names} names
 * @property {string | null} [line] a line above it: where the unread ones begin, or where some are missing
 */

/** @param {MessageView} message @param {Surroundings} around @returns {HTMLLIElement} */
export function messageItem(message, { previous, answered, me, names, line = null }) {
  const at = new Date(message.at);
  const newDay = previous === null || !isSameDay(new Date(previous.at), at);
  const grouped = !newDay && line === null && continues(previous, message);
  const above = [
    newDay ? h("h2", { class: "day" }, h("time", { datetime: message.at.slice(0, 10) }, dayOf(at))) : null,
    line === null ? null : h("p", { class: "line" }, h("span", {}, line)),
  ];
  if (message.topic) return topicItem(message, above);
  const own = message.from.id === me;
  const name = nameOf(message.from.name);
  const time = h("time", { class: "time", datetime: message.at, title: fullTimeOf(at) }, timeOf(at));
  const calls = !own && names.callsMe(message.text);
  const article = h(
    "article",
    { "aria-label": t("message_by", { name, time: timeOf(at) }), tabindex: "-1" },
    h("header", { class: grouped ? "by grouped" : "by" }, h("bdi", { class: "name" }, name), time),
    h("div", { class: "bubble" }, message.reply_to ? quote(message.reply_to, answered) : null, ...body(message, names)),
    moreButton(message, name, at),
    reactions(message, me),
  );
  return h(
    "li",
    { class: `entry${grouped ? "" : " first"}${own ? " own" : ""}${calls ? " calls" : ""}`, "data-seq": message.seq || undefined },
    ...above,
    grouped || own ? null : avatar(message.from),
    article,
  );
}

/** @param {MessageView} message @param {(HTMLElement | null)[]} above */
function topicItem(message, above) {
  const title = fullTimeOf(new Date(message.at));
  const line = h("p", { class: "topic-line", title }, topicSentence(message));
  return h("li", { class: "entry first", "data-seq": message.seq || undefined }, ...above, line);
}

/** @param {MessageView} message @returns {string} who said that the room is about what */
export function topicSentence({ from, text }) {
  // Isolated by characters where elements cannot be: both may be written from right to left.
  const [name, topic] = [nameOf(from.name), text].map((words) => `\u2068${words}\u2069`);
  return text === "" ? t("topic_removed", { name }) : t("topic_changed", { name, topic });
}

/** What was said here and is not stored yet. @param {Action} action @param {boolean} live @param {Names} names @returns {HTMLLIElement} */
export function pendingItem(action, live, names) {
  const failed = action.error !== undefined;
  const at = new Date(action.at);
  const status = failed
    ? h(
        "p",
        { class: "status" },
        `${t("not_sent", { reason: errorSentence(action.error ?? "") })} · `,
        h("button", { type: "button", class: "link", "data-do": "retry" }, t("retry")),
        " · ",
        h("button", { type: "button", class: "link", "data-do": "discard" }, t("discard")),
      )
    : h("p", { class: "status" }, live ? t("sending") : t("waiting"));
  return h(
    "li",
    { class: `entry first own ${failed ? "failed" : "pending"}`, "data-id": action.id },
    h(
      "article",
      { "aria-label": t("message_by", { name: t("you"), time: timeOf(at) }), tabindex: "-1" },
      h("div", { class: "bubble" }, said({ text: action.text ?? "", from: { name: names.mine } }, names)),
      status,
    ),
  );
}

/** @param {{ id: string, name: string }} member */
export function avatar({ id, name }) {
  const [initial = "?"] = nameOf(name);
  return h("span", { class: "avatar", "data-hue": hueOf(id), "aria-hidden": "true" }, initial.toUpperCase());
}

/** People without a name are those who came without this page. @param {string} name */
export const nameOf = (name) => name || "…";

/** The same colour for the same person, everywhere. @param {string} id */
function hueOf(id) {
  let sum = 0;
  for (const char of id) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) % 9973;
  return sum % HUES;
}

/** @param {MessageView} previous @param {MessageView} message */
function continues(previous, message) {
  const since = new Date(message.at).getTime() - new Date(previous.at).getTime();
  if (previous.topic) return false;
  return previous.from.id === message.from.id && previous.from.name === message.from.name && since <= GROUPED_WITHIN_MS;
}

/** @param {MessageView} message @param {Names} names */
function body(message, names) {
  if (message.deleted) return [h("p", { class: "text gone" }, t("deleted"))];
  const notes = [];
  if (message.edited_at) {
    const title = t("edited_at", { time: fullTimeOf(new Date(message.edited_at)) });
    notes.push(h("span", { class: "note", title }, t("edited")));
  }
  if (message.unsaved) notes.push(h("span", { class: "note", title: t("unsaved_title") }, t("unsaved")));
  return [said(message, names), ...notes];
}

/** What somebody said, or does: `/me waves`. @param {{ text: string, from: { name: string } }} message @param {Names} names */
function said({ text, from }, names) {
  if (!text.startsWith(ACTION)) return textOf(text, names);
  const done = textOf(text.slice(ACTION.length), names);
  done.classList.add("action");
  done.firstElementChild?.prepend(h("bdi", { class: "name" }, nameOf(from.name)), " ");
  return done;
}

/** @param {MessageView} message @returns {string} in one line */
export function oneLine({ text, from }) {
  return text.startsWith(ACTION) ? `${nameOf(from.name)} ${plainOf(text.slice(ACTION.length))}` : plainOf(text);
}

/** @param {number} seq @param {MessageView | undefined} answered */
function quote(seq, answered) {
  const inside =
    answered === undefined
      ? [t("quote_unknown")]
      : [h("bdi", { class: "name" }, nameOf(answered.from.name)), " ", answered.deleted ? t("deleted") : oneLine(answered)];
  return h("a", { class: "quote", href: `#m${seq}`, "data-do": "show", "data-target": seq }, ...inside);
}

/** @param {MessageView} message @param {string} name @param {Date} at */
function moreButton(message, name, at) {
  if (message.deleted || message.seq === 0) return null;
  const label = t("more", { name, time: timeOf(at) });
  const properties = { type: "button", class: "more", "aria-label": label, "aria-haspopup": "menu", tabindex: "-1" };
  return h("button", { ...properties, "data-do": "menu" }, icon("more"));
}

/** @param {MessageView} message @param {string | undefined} me */
function reactions({ reactions = [] }, me) {
  if (reactions.length === 0) return null;
  const buttons = reactions.map(({ emoji, members }) => {
    const mine = me !== undefined && members.includes(me);
    const label = t(mine ? "reaction_own" : "reaction", { emoji, count: members.length });
    const properties = { type: "button", class: "reaction", "aria-pressed": String(mine), "aria-label": label };
    return h("li", {}, h("button", { ...properties, "data-do": "react", "data-emoji": emoji }, `${emoji} ${members.length}`));
  });
  return h("ul", { class: "reactions" }, ...buttons);
}

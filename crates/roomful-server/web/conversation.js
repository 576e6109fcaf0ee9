/**
 * The messages as they read now: the log's events applied to the pages that were loaded. Nothing of the page is here.
 */

/** @import { MessagesPage, MessageView, RoomEvent } from "./types.js" */

/** Changes to messages that are not loaded yet, kept for when they are. */
const LOOSE_KEPT = 500;

export class Conversation {
  /** @type {MessageView[]} by seq; those without one stand where they came */
  messages = [];
  /** @type {Map<number, MessageView>} */
  #bySeq = new Map();
  /** @type {RoomEvent[]} */
  #loose = [];
  #numbered = true;

  /** @param {MessagesPage} page what there was is gone */
  reset(page) {
    this.messages = [...page.messages];
    this.#bySeq = new Map(page.messages.map((message) => [message.seq, message]));
    this.#loose = [];
    this.#numbered = page.epoch !== null;
  }

  /** @param {number} seq */
  get(seq) {
    return this.#bySeq.get(seq);
  }

  /** The number before which there may be more. */
  get oldest() {
    return this.messages.find((message) => message.seq > 0)?.seq;
  }

  /** @param {string | undefined} id of a member @returns {MessageView | undefined} */
  newestBy(id) {
    return this.messages.findLast((message) => message.from.id === id && !message.deleted && !message.topic && message.seq > 0);
  }

  /** @param {MessageView[]} older in order @returns {MessageView[]} those that are new here */
  prepend(older) {
    const fresh = older.filter((message) => !this.#bySeq.has(message.seq));
    for (const message of fresh) this.#bySeq.set(message.seq, message);
    this.messages.unshift(...fresh);
    // The page may have been read before a change that came faster than it.
    for (const event of this.#loose) this.change(event);
    return fresh;
  }

  /** Leaves out the oldest. @param {number} count @returns {number} how many there were */
  forget(count) {
    const forgotten = this.messages.splice(0, count);
    for (const { seq } of forgotten) this.#bySeq.delete(seq);
    return forgotten.length;
  }

  /** @param {RoomEvent} event `chat.message`, or `chat.topic`, which has its line among them @returns {MessageView} */
  append({ type, seq = 0, id = "", from, at, text = "", reply_to }) {
    const message = { seq, id, from, at, text, reply_to, topic: type === "chat.topic", unsaved: this.#numbered && seq === 0 };
    this.messages.push(message);
    if (seq > 0) this.#bySeq.set(seq, message);
    return message;
  }

  /** @param {RoomEvent} event any other @returns {MessageView | undefined} the message it changed, if that is loaded */
  change(event) {
    const message = this.#bySeq.get(event.target ?? 0);
    if (message === undefined) {
      if (!this.#loose.includes(event)) this.#loose.push(event);
      if (this.#loose.length > LOOSE_KEPT) this.#loose.shift();
      return undefined;
    }
    if (event.type === "chat.edited") {
      message.text = event.text ?? "";
      message.edited_at = event.at;
    } else if (event.type === "chat.deleted") {
      Object.assign(message, { text: "", deleted: true, reactions: [] });
    } else if (event.type === "chat.reacted") {
      message.reactions = reacted(message.reactions ?? [], event);
    }
    return message;
  }
}

/**
 * @param {{ emoji: string, members: string[] }[]} reactions
 * @param {RoomEvent} event
 */
function reacted(reactions, { emoji = "", on, from }) {
  const others = (/** @type {string[]} */ members) => members.filter((id) => id !== from.id);
  const known = reactions.some((reaction) => reaction.emoji === emoji);
  const all = known || !on ? reactions : [...reactions, { emoji, members: [] }];
  const changed = all.map((reaction) => {
    if (reaction.emoji !== emoji) return reaction;
    // Who reacted already keeps their place.
    if (on) return reaction.members.includes(from.id) ? reaction : { emoji, members: [...reaction.members, from.id] };
    return { emoji, members: others(reaction.members) };
  });
  return changed.filter((reaction) => reaction.members.length > 0);
}

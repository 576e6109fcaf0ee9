/**
 * The list of messages on the page: a window of at most a few hundred over the conversation, and the place of the
 * reader in it. It follows the end while the reader is there, and keeps still while they read further up.
 */

/** @import { Action, MessageView } from "./types.js" */
/** @import { Conversation } from "./conversation.js" */
/** @import { Names } from "./names-here.js" */
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { messageItem, pendingItem } from "./message.js";

const AT_END_PX = 100;
const DRAWN_AT_MOST = 400;
const PAGE = 50;
/** How many are read at once on the way to one that is far up. */
const FAR = 250;
const NEAR_EDGE_PX = 600;
/** Of a room that talks all day, what is far above is forgotten; it can be read again. */
const KEPT_AT_MOST = 4_000;
const SHOWN_FOR_MS = 2_000;

export class Timeline {
  /** @type {(seq: number, limit: number) => Promise<MessageView[]>} reads the messages before one */
  older = async () => [];
  /** @type {(unread: number, away: boolean) => void} */
  onplace = () => {};
  /** @type {string | undefined} */
  me;
  live = false;
  #conversation;
  #names;
  #scroller = byId("scroller", HTMLElement);
  #list = byId("messages", HTMLOListElement);
  #start = byId("start", HTMLElement);
  #earlier = byId("earlier", HTMLButtonElement);
  #empty = byId("empty", HTMLElement);
  /** @type {Map<MessageView, HTMLLIElement>} */
  #items = new Map();
  /** @type {Map<string, HTMLLIElement>} */
  #pending = new Map();
  /** Which part of the conversation is drawn. */
  #from = 0;
  #to = 0;
  #following = true;
  #atBeginning = false;
  /** @type {Promise<boolean> | null} */
  #reading = null;
  #unread = 0;
  /** @type {Map<number, string>} lines above messages */
  #lines = new Map();
  /** @type {number | null} above which message the unread ones begin */
  #unreadLine = null;
  /** How many came since the last frame: many messages at once cost one layout. */
  #undrawn = 0;
  #frame = 0;
  /** Where the scroller stood. */
  #top = 0;

  /** @param {Conversation} conversation @param {Names} names */
  constructor(conversation, names) {
    this.#conversation = conversation;
    this.#names = names;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#earlier.addEventListener("click", () => void this.#showEarlier());
    const sizes = new ResizeObserver(() => this.#keepPlace());
    sizes.observe(this.#scroller);
    sizes.observe(this.#list);
  }

  get following() {
    return this.#following;
  }

  /** The conversation has a new beginning. @param {{ line?: string, readUpTo?: number }} [about] what to say about it */
  reset({ line, readUpTo = Infinity } = {}) {
    const { messages } = this.#conversation;
    this.#lines.clear();
    this.#unreadLine = null;
    const unread = messages.find(({ seq, topic }) => seq > readUpTo && !topic);
    if (unread) this.#moveLine(unread);
    if (line !== undefined && messages.length > 0) this.#lines.set(messages[0].seq, line);
    this.#atBeginning = messages.length < PAGE || messages[0].seq === 1;
    this.#drawUpTo(messages.length);
    this.toEnd();
  }

  /** A message came. @param {MessageView} message @param {boolean} seen whether the reader looks at the page */
  append(message, seen) {
    const own = message.from.id === this.me;
    const unread = !own && !message.topic && !(seen && this.#following);
    // Who looks away gets one line, where they stopped; who reads further up a new one each time they leave the end.
    if (unread && (this.#unreadLine === null || (seen && this.#unread === 0))) this.#moveLine(message);
    this.#undrawn += 1;
    if (!this.#following && unread) this.#unread += 1;
    if (own && !this.#following) this.toEnd();
    else this.#nextFrame();
  }

  /** A message reads differently now. @param {MessageView} message */
  redraw(message) {
    const old = this.#items.get(message);
    if (old === undefined) return;
    const index = this.#conversation.messages.indexOf(message);
    const hadFocus = old.contains(document.activeElement);
    const fresh = this.#draw(index);
    old.replaceWith(fresh);
    if (hadFocus) fresh.querySelector("article")?.focus();
    this.#keepPlace();
  }

  /** Whose messages are one's own, and who can be called, may become known late. @param {string | undefined} me */
  setMe(me) {
    if (this.me === me) return;
    this.me = me;
    for (const message of [...this.#items.keys()]) this.redraw(message);
  }

  /** @param {Action} action */
  showPending(action) {
    const old = this.#pending.get(action.id);
    const item = pendingItem(action, this.live, this.#names);
    this.#pending.set(action.id, item);
    if (old) old.replaceWith(item);
    else this.#list.append(item);
    if (!old) this.toEnd();
    this.#place();
  }

  /** It is stored or given up. @param {string} id */
  dropPending(id) {
    this.#pending.get(id)?.remove();
    // What it has become stands in its place at once, not a frame later.
    if (this.#pending.delete(id)) this.#drawFresh();
    this.#place();
  }

  /** The reader leaves the page: what is here is read, and the line is for what comes. */
  leave() {
    this.#moveLine(null);
  }

  toEnd() {
    const { length } = this.#conversation.messages;
    this.#following = true;
    this.#drawFresh();
    if (this.#to < length) this.#drawUpTo(length);
    this.#unread = 0;
    this.#keepPlace();
    this.#place();
  }

  /** Scrolls to a message and marks it for a moment. @param {number} seq @returns {Promise<boolean>} whether it is there */
  async show(seq) {
    while (!this.#conversation.get(seq) && !this.#atBeginning && seq < (this.#conversation.oldest ?? 0)) {
      if (!(await this.#readEarlier(FAR))) break;
    }
    const message = this.#conversation.get(seq);
    if (message === undefined) return false;
    const index = this.#conversation.messages.indexOf(message);
    if (index < this.#from || index >= this.#to) this.#drawUpTo(Math.min(index + PAGE / 2, this.#conversation.messages.length), 2 * PAGE);
    const item = this.#items.get(message);
    if (item === undefined) return false;
    this.#following = false;
    item.scrollIntoView({ block: "center" });
    item.querySelector("article")?.focus({ preventScroll: true });
    item.classList.add("shown");
    setTimeout(() => item.classList.remove("shown"), SHOWN_FOR_MS);
    this.#place();
    return true;
  }

  /** @param {Element} element inside an item @returns {MessageView | undefined} */
  messageAt(element) {
    const seq = Number(element.closest("li[data-seq]")?.getAttribute("data-seq"));
    return this.#conversation.get(seq);
  }

  /** @param {MessageView | null} message above which the unread ones begin */
  #moveLine(message) {
    const old = this.#conversation.get(this.#unreadLine ?? 0);
    this.#unreadLine = message?.seq || null;
    if (old) this.#lines.delete(old.seq);
    if (this.#unreadLine !== null) this.#lines.set(this.#unreadLine, t("new_messages"));
    if (old) this.redraw(old);
  }

  /** Draws another part. @param {number} to where it ends @param {number} [count] */
  #drawUpTo(to, count = PAGE) {
    this.#list.replaceChildren(...this.#pending.values());
    this.#items.clear();
    this.#from = this.#to = to;
    this.#undrawn = 0;
    this.#extendUp(count);
  }

  /** Those that came are drawn, if they follow on what is drawn; further up, only as many as there is room for. */
  #drawFresh() {
    const { length } = this.#conversation.messages;
    const followsOn = this.#to === length - this.#undrawn;
    this.#undrawn = 0;
    if (!followsOn) return;
    if (this.#following && length - this.#to > DRAWN_AT_MOST) return this.#drawUpTo(length, DRAWN_AT_MOST);
    while (this.#to < length && (this.#following || this.#to - this.#from < DRAWN_AT_MOST)) {
      this.#to += 1;
      this.#insertAtEnd(this.#draw(this.#to - 1));
    }
    if (!this.#following) return;
    this.#trimTop();
    this.#forget();
  }

  /** @param {number} index */
  #draw(index) {
    const message = this.#conversation.messages[index];
    const previous = this.#conversation.messages[index - 1] ?? null;
    const answered = message.reply_to ? this.#conversation.get(message.reply_to) : undefined;
    const line = this.#lines.get(message.seq) ?? null;
    const item = messageItem(message, { previous, answered, me: this.me, names: this.#names, line });
    this.#items.set(message, item);
    return item;
  }

  /** @param {HTMLLIElement} item */
  #insertAtEnd(item) {
    const [firstPending] = this.#pending.values();
    this.#list.insertBefore(item, firstPending ?? null);
  }

  /** @param {number} count */
  #extendUp(count) {
    const from = Math.max(0, this.#from - count);
    /** @type {HTMLLIElement[]} */
    const fresh = [];
    for (let i = from; i < this.#from; i += 1) fresh.push(this.#draw(i));
    const oldFirst = this.#conversation.messages[this.#from];
    this.#from = from;
    this.#list.prepend(...fresh);
    // It has a neighbour above it now: another day, another head.
    if (oldFirst) this.redraw(oldFirst);
  }

  #trimTop() {
    while (this.#to - this.#from > DRAWN_AT_MOST) {
      this.#undraw(this.#from);
      this.#from += 1;
    }
  }

  #forget() {
    if (this.#conversation.messages.length <= KEPT_AT_MOST) return;
    const forgotten = this.#conversation.forget(KEPT_AT_MOST / 2);
    this.#from -= forgotten;
    this.#to -= forgotten;
    this.#atBeginning = false;
  }

  /** @param {number} index */
  #undraw(index) {
    const message = this.#conversation.messages[index];
    this.#items.get(message)?.remove();
    this.#items.delete(message);
  }

  /** @param {number} limit @returns {Promise<boolean>} whether there were any */
  #readEarlier(limit) {
    this.#reading ??= this.#readPage(limit)
      .catch(() => false)
      .finally(() => (this.#reading = null));
    return this.#reading;
  }

  /** @param {number} limit */
  async #readPage(limit) {
    const { oldest } = this.#conversation;
    if (this.#atBeginning || oldest === undefined) return false;
    const fresh = this.#conversation.prepend(await this.older(oldest, limit));
    this.#from += fresh.length;
    this.#to += fresh.length;
    this.#atBeginning = fresh.length < limit || fresh[0].seq === 1;
    return fresh.length > 0;
  }

  async #showEarlier() {
    if (this.#reading) return;
    this.#following = false;
    if (this.#from < PAGE) await this.#readEarlier(PAGE);
    if (this.#from > 0) {
      const { scrollHeight, scrollTop } = this.#scroller;
      this.#extendUp(PAGE);
      // `overflow-anchor` is off: this is the one place that keeps the reader's place, in every browser.
      this.#scroller.scrollTop = scrollTop + (this.#scroller.scrollHeight - scrollHeight);
      while (this.#to - this.#from > DRAWN_AT_MOST) {
        this.#to -= 1;
        this.#undraw(this.#to);
      }
    }
    this.#place();
  }

  #showLater() {
    const { messages } = this.#conversation;
    const { scrollTop } = this.#scroller;
    for (let i = 0; i < PAGE && this.#to < messages.length - this.#undrawn; i += 1) {
      this.#to += 1;
      this.#insertAtEnd(this.#draw(this.#to - 1));
    }
    const grown = this.#scroller.scrollHeight;
    this.#trimTop();
    this.#scroller.scrollTop = scrollTop - (grown - this.#scroller.scrollHeight);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    const drawnToEnd = this.#to + this.#undrawn === this.#conversation.messages.length;
    // Where the list grew and nobody moved up, the end is still what they want to see.
    const movedUp = scrollTop < this.#top;
    this.#top = scrollTop;
    this.#following = drawnToEnd && (below < AT_END_PX || (this.#following && !movedUp));
    if (this.#following) this.#unread = 0;
    if (!drawnToEnd && below < NEAR_EDGE_PX) this.#showLater();
    if (scrollTop < NEAR_EDGE_PX && !this.#following && (this.#from > 0 || !this.#atBeginning)) void this.#showEarlier();
    this.#place();
  }

  #nextFrame() {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#undrawn > 0) {
        this.#drawFresh();
        this.#place();
      }
      if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    });
  }

  #keepPlace() {
    if (this.#following) this.#nextFrame();
  }

  #place() {
    const { messages } = this.#conversation;
    const atBeginning = this.#atBeginning && this.#from === 0;
    this.#empty.hidden = messages.length + this.#pending.size > 0;
    this.#start.hidden = !atBeginning || !this.#empty.hidden;
    this.#earlier.hidden = atBeginning || messages.length === 0;
    this.onplace(this.#unread, !this.#following);
    this.#keepPlace();
  }
}

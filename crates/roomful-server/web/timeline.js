/**
 * The list of messages on the page: a window of at most a few hundred over the conversation, and the place of the
 * reader in it. It follows the end while the reader is there, and keeps still while they read further up.
 */

/** @import { Action, MessageView } from "./types.js" */
/** @import { Conversation } from "./conversation.js" */
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { messageItem, pendingItem } from "./message.js";

const AT_END_PX = 100;
const DRAWN_AT_MOST = 400;
const PAGE = 50;
const NEAR_EDGE_PX = 600;

export class Timeline {
  /** @type {(seq: number) => Promise<MessageView[]>} reads the messages before one */
  older = async () => [];
  /** @type {(unread: number, away: boolean) => void} */
  onplace = () => {};
  /** @type {string | undefined} */
  me;
  live = false;
  #conversation;
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
  #loading = false;
  #unread = 0;
  /** @type {Map<number, string>} lines above messages */
  #lines = new Map();
  /** @type {number | null} */
  #unreadLine = null;
  #frame = 0;

  /** @param {Conversation} conversation */
  constructor(conversation) {
    this.#conversation = conversation;
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#earlier.addEventListener("click", () => void this.#showEarlier());
    new ResizeObserver(() => this.#keepPlace()).observe(this.#scroller);
    new ResizeObserver(() => this.#keepPlace()).observe(this.#list);
  }

  /** The conversation has a new beginning. @param {string | null} line what to say about it */
  reset(line = null) {
    const { messages } = this.#conversation;
    this.#list.replaceChildren(...this.#pending.values());
    this.#items.clear();
    this.#lines.clear();
    this.#unreadLine = null;
    if (line !== null && messages.length > 0) this.#lines.set(messages[0].seq, line);
    this.#from = this.#to = messages.length;
    this.#atBeginning = messages.length < PAGE;
    this.#extendUp(PAGE);
    this.toEnd();
  }

  /** A message came. @param {MessageView} message @param {boolean} seen whether the reader looks at the page */
  append(message, seen) {
    const own = message.from.id === this.me;
    if (!seen && !own && this.#unreadLine === null) {
      this.#unreadLine = message.seq;
      this.#lines.set(message.seq, t("new_messages"));
    }
    const wasDrawnToEnd = this.#to === this.#conversation.messages.length - 1;
    if (wasDrawnToEnd && (this.#following || this.#list.childElementCount < DRAWN_AT_MOST)) {
      this.#to += 1;
      this.#insertAtEnd(this.#draw(this.#to - 1));
      if (this.#following) this.#trimTop();
    }
    if (!this.#following && !own && !message.topic) this.#unread += 1;
    if (own && !this.#following) this.toEnd();
    this.#place();
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

  /** Whose messages are one's own may become known late. @param {string | undefined} me */
  setMe(me) {
    if (this.me === me) return;
    this.me = me;
    for (const message of [...this.#items.keys()]) this.redraw(message);
  }

  /** @param {Action} action */
  showPending(action) {
    const old = this.#pending.get(action.id);
    const item = pendingItem(action, this.live);
    this.#pending.set(action.id, item);
    if (old) old.replaceWith(item);
    else this.#list.append(item);
    if (!old) this.toEnd();
    this.#place();
  }

  /** @param {string} id */
  dropPending(id) {
    this.#pending.get(id)?.remove();
    this.#pending.delete(id);
    this.#place();
  }

  /** The reader leaves the page: what is here is read, and the line is for what comes. */
  leave() {
    if (this.#unreadLine === null) return;
    const message = this.#conversation.get(this.#unreadLine);
    this.#lines.delete(this.#unreadLine);
    this.#unreadLine = null;
    if (message) this.redraw(message);
  }

  toEnd() {
    if (this.#to < this.#conversation.messages.length) {
      this.#list.replaceChildren(...this.#pending.values());
      this.#items.clear();
      this.#from = this.#to = this.#conversation.messages.length;
      this.#extendUp(PAGE);
    }
    this.#following = true;
    this.#unread = 0;
    this.#keepPlace();
    this.#place();
  }

  /** Scrolls to a message and marks it for a moment. @param {number} seq */
  async show(seq) {
    while (!this.#conversation.get(seq) && !this.#atBeginning && seq < (this.#conversation.oldest ?? 0)) {
      if (!(await this.#showEarlier())) break;
    }
    const message = this.#conversation.get(seq);
    if (message === undefined) return;
    const index = this.#conversation.messages.indexOf(message);
    if (index < this.#from) this.#extendUp(this.#from - index + 5);
    const item = this.#items.get(message);
    if (item === undefined) return;
    this.#following = false;
    item.scrollIntoView({ block: "center" });
    item.querySelector("article")?.focus({ preventScroll: true });
    item.classList.add("shown");
    setTimeout(() => item.classList.remove("shown"), 2_000);
  }

  /** @param {Element} element inside an item @returns {MessageView | undefined} */
  messageAt(element) {
    const seq = Number(element.closest("li[data-seq]")?.getAttribute("data-seq"));
    return this.#conversation.get(seq);
  }

  /** @param {number} index */
  #draw(index) {
    const message = this.#conversation.messages[index];
    const previous = this.#conversation.messages[index - 1] ?? null;
    const answered = message.reply_to ? this.#conversation.get(message.reply_to) : undefined;
    const line = this.#lines.get(message.seq) ?? null;
    const item = messageItem(message, { previous, answered, me: this.me, line });
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

  /** @param {number} index */
  #undraw(index) {
    const message = this.#conversation.messages[index];
    this.#items.get(message)?.remove();
    this.#items.delete(message);
  }

  /** @returns {Promise<boolean>} whether there were any */
  async #showEarlier() {
    if (this.#loading) return false;
    this.#loading = true;
    try {
      const { oldest } = this.#conversation;
      if (this.#from < PAGE && !this.#atBeginning && oldest !== undefined) {
        const fresh = this.#conversation.prepend(await this.older(oldest));
        this.#from += fresh.length;
        this.#to += fresh.length;
        this.#atBeginning = fresh.length < PAGE;
      }
      if (this.#from === 0) return false;
      const { scrollHeight, scrollTop } = this.#scroller;
      this.#following = false;
      this.#extendUp(PAGE);
      // `overflow-anchor` is off: this is the one place that keeps the reader's place, in every browser.
      this.#scroller.scrollTop = scrollTop + (this.#scroller.scrollHeight - scrollHeight);
      while (this.#to - this.#from > DRAWN_AT_MOST) {
        this.#to -= 1;
        this.#undraw(this.#to);
      }
      return true;
    } catch {
      return false;
    } finally {
      this.#loading = false;
      this.#place();
    }
  }

  #showLater() {
    const { messages } = this.#conversation;
    const { scrollHeight, scrollTop } = this.#scroller;
    for (let i = 0; i < PAGE && this.#to < messages.length; i += 1) {
      this.#to += 1;
      this.#insertAtEnd(this.#draw(this.#to - 1));
    }
    const grown = this.#scroller.scrollHeight;
    this.#trimTop();
    const cut = grown - this.#scroller.scrollHeight;
    if (scrollHeight > 0) this.#scroller.scrollTop = scrollTop - cut;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const below = scrollHeight - scrollTop - clientHeight;
    const drawnToEnd = this.#to === this.#conversation.messages.length;
    this.#following = drawnToEnd && below < AT_END_PX;
    if (this.#following) this.#unread = 0;
    if (!drawnToEnd && below < NEAR_EDGE_PX) this.#showLater();
    if (scrollTop < NEAR_EDGE_PX && !this.#following) void this.#showEarlier();
    this.#place();
  }

  /** At the end of the list, or of the frame: many messages at once cost one layout. */
  #keepPlace() {
    if (!this.#following || this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#following) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    });
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

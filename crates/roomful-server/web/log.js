/**
 * Reading a room's log without a hole and without a repeat, whatever order and however often events arrive.
 *
 * The position is an epoch and a seq. An event is applied only when it is the next one; a repeat is dropped; a hole
 * is filled over HTTP before anything after it is shown. Where the position is unknown to the server, the newest
 * page takes the place of everything before it.
 */

/** @import { EventsPage, MessagesPage, Position, RoomEvent } from "./types.js" */
/** @import { Api } from "./http.js" */

/** Somebody who missed more than this is shown the newest page and a break, not a flood. */
const FLOOD = 500;

export class RoomLog {
  /** The server keeps no history: events have no numbers, and nothing can be caught up. */
  unnumbered = false;
  /** @type {Position | null} */
  #position = null;
  /** @type {RoomEvent[]} what came while a hole was being filled */
  #held = [];
  /** @type {Promise<void> | null} */
  #filling = null;
  #api;
  #deliver;
  #restarted;

  /**
   * @param {Api} api
   * @param {(event: RoomEvent) => void} deliver each event once, in order
   * @param {(page: MessagesPage, before: Position | null) => void} restarted the newest page replaces what there was
   */
  constructor(api, deliver, restarted) {
    this.#api = api;
    this.#deliver = deliver;
    this.#restarted = restarted;
  }

  get position() {
    return this.#position;
  }

  /** Begins with the newest page, or begins anew with it. */
  restart() {
    return this.#fill(() => this.#readNewest());
  }

  /** Asks for everything after the position. */
  catchUp() {
    return this.#fill(() => this.#readOn());
  }

  /** @param {{ epoch: string | null, recovered: boolean }} answer whether it continues what we have */
  knows(answer) {
    return answer.recovered && answer.epoch === this.#position?.epoch;
  }

  /**
   * Takes an event as it arrives.
   * @param {RoomEvent} event
   * @returns {Promise<void> | null} the filling of a hole, where there is one
   */
  take(event) {
    if (this.#position === null || !event.seq) {
      this.#deliver(event);
      return null;
    }
    if (this.#filling) {
      this.#held.push(event);
      return this.#filling;
    }
    if (this.#apply(event)) return null;
    this.#held.push(event);
    return this.catchUp();
  }

  /** @param {EventsPage} page @returns {Promise<void> | null} */
  takePage(page) {
    if (!this.knows(page)) return this.restart();
    let filling = null;
    for (const event of page.events) filling = this.take(event) ?? filling;
    return filling;
  }

  /** @param {RoomEvent} event @returns {boolean} `false` where something before it is missing */
  #apply(event) {
    const position = this.#position;
    if (position === null || event.seq === undefined) return false;
    if (event.seq > position.seq + 1) return false;
    if (event.seq === position.seq + 1) {
      this.#position = { epoch: position.epoch, seq: event.seq };
      this.#deliver(event);
    }
    return true;
  }

  /**
   * One filling at a time; what arrives meanwhile is held, and applied at its end.
   * @param {() => Promise<void>} read
   */
  #fill(read) {
    this.#filling ??= this.#fillUntilWhole(read).finally(() => {
      this.#filling = null;
      this.#held = [];
    });
    return this.#filling;
  }

  /** @param {() => Promise<void>} read */
  async #fillUntilWhole(read) {
    await read();
    while (!this.#applyHeld()) {
      const reached = this.#position?.seq;
      await this.#readOn();
      // The server announced an event that its log does not have: a new connection sorts that out.
      if (this.#position?.seq === reached) throw new Error("the log has a hole");
    }
  }

  /** @returns {boolean} `false` where there is still a hole before some of them */
  #applyHeld() {
    this.#held.sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    while (this.#held.length > 0 && this.#apply(this.#held[0])) this.#held.shift();
    return this.#held.length === 0;
  }

  async #readOn() {
    for (;;) {
      if (this.#position === null) return;
      const page = await this.#api.events({ after: this.#position.seq });
      if (!this.knows(page) || page.head - this.#position.seq > FLOOD) return this.#readNewest();
      page.events.forEach((event) => this.#apply(event));
      if (page.events.length === 0 || this.#position.seq >= page.head) return;
    }
  }

  async #readNewest() {
    const page = await this.#api.messages({});
    const before = this.#position;
    this.unnumbered = page.epoch === null;
    this.#position = page.epoch === null ? null : { epoch: page.epoch, seq: page.seq };
    this.#restarted(page, before);
  }
}

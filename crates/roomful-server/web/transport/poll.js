/**
 * Polling: ask for the log after the position, again and again. It works wherever a web page works.
 *
 * The next request's `after` is the acknowledgement of the last answer, so an answer that got lost on the way is
 * simply given again. Long polling is the same loop with requests that the server holds.
 */

/** @import { Action, Ears, End, Transport, TransportKind } from "../types.js" */
/** @import { Api } from "../http.js" */
import { endFor } from "../http.js";
import { Sender } from "./sender.js";

const PAUSE_MS = 2_000;
const PAUSE_HIDDEN_MS = 15_000;

/** @implements {Transport} */
export class PollTransport {
  kind;
  #api;
  #ears;
  #sender;
  #waitSeconds;
  #running = false;
  #abort = new AbortController();
  /** @type {() => void} ends the pause between two requests */
  #wake = () => {};

  /**
   * @param {Ears} ears
   * @param {Api} api
   * @param {TransportKind} kind
   * @param {number} waitSeconds how long the server may hold a request
   */
  constructor(ears, api, kind = "poll", waitSeconds = 0) {
    this.kind = kind;
    this.#ears = ears;
    this.#api = api;
    this.#waitSeconds = waitSeconds;
    this.#sender = new Sender(api, ears, () => this.#end({ comeBack: true }));
  }

  start() {
    this.#running = true;
    void this.#loop();
  }

  stop() {
    this.#running = false;
    this.#sender.stop();
    this.#abort.abort();
    this.#wake();
  }

  nudge() {
    this.#wake();
  }

  /** @param {Action} action */
  send(action) {
    this.#sender.send(action);
  }

  /** Typing is not worth a request, and the next thing said carries the name. */
  signal() {}

  async #loop() {
    let opened = false;
    while (this.#running) {
      const position = this.#ears.position();
      if (position === null) return this.#end({ comeBack: false, code: "no_history" });
      // The first request is answered at once: it shows that the way works, and catches up.
      const wait = opened ? this.#waitSeconds : 0;
      const asked = Date.now();
      try {
        const page = await this.#api.events({ after: position.seq, wait, signal: this.#abort.signal });
        if (!this.#running) return;
        await this.#ears.caughtUp(page);
        if (!opened) this.#ears.opened({ epoch: page.epoch, seq: page.seq, recovered: true });
        opened = true;
        const more = page.events.length > 0 && page.seq < page.head;
        // Something between us and the server may refuse to hold requests: then ask at a poll's pace.
        const refusedToHold = wait > 0 && page.events.length === 0 && Date.now() - asked < PAUSE_MS / 2;
        if (!more && (this.#waitSeconds === 0 || refusedToHold)) await this.#pause();
      } catch (error) {
        return this.#end(endFor(error));
      }
    }
  }

  /** @returns {Promise<void>} */
  #pause() {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, document.hidden ? PAUSE_HIDDEN_MS : PAUSE_MS);
    });
  }

  /** @param {End} end */
  #end(end) {
    if (!this.#running) return;
    this.stop();
    this.#ears.ended(end);
  }
}

/**
 * Saying over HTTP, for the transports that only read: one request at a time, in order.
 */

/** @import { Action, Ears, RoomEvent, You } from "../types.js" */
/** @import { Api } from "../http.js" */
import { ApiError } from "../http.js";

export class Sender {
  /** @type {Action[]} */
  #queue = [];
  #busy = false;
  #stopped = false;
  #api;
  #ears;
  #lost;

  /** @param {Api} api @param {Ears} ears @param {() => void} lost a request had no answer: whether it was stored is open */
  constructor(api, ears, lost) {
    this.#api = api;
    this.#ears = ears;
    this.#lost = lost;
  }

  /** @param {Action} action */
  send(action) {
    this.#queue.push(action);
    if (!this.#busy) void this.#drain();
  }

  stop() {
    this.#stopped = true;
    this.#queue = [];
  }

  async #drain() {
    this.#busy = true;
    for (let action = this.#queue.shift(); action !== undefined; action = this.#queue.shift()) {
      try {
        const answer = await this.#perform(action, this.#ears.identity().name);
        // Even after `stop`: stored is stored.
        this.#ears.stored(action, answer);
      } catch (error) {
        if (this.#stopped) break;
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 0) {
          this.#lost();
          break;
        }
        this.#ears.refused(action.id, error.code, error.retryAfterMs);
      }
    }
    this.#busy = false;
  }

  /**
   * Does to the record what the action says. Repeating it is safe: the server knows it by its id.
   * @param {Action} action @param {string} name
   * @returns {Promise<RoomEvent & { you?: You }>}
   */
  #perform({ id, kind, text, reply_to, seq, emoji, on }, name) {
    switch (kind) {
      case "say":
        return this.#request("POST", "/messages", { id, name, text, reply_to });
      case "edit":
        return this.#request("PATCH", `/messages/${seq}`, { id, text });
      case "delete":
        return this.#request("DELETE", `/messages/${seq}`, { id });
      case "react":
        return this.#request("PUT", `/messages/${seq}/reactions`, { id, emoji, on });
      case "topic":
        return this.#request("PUT", "/topic", { id, name, text });
    }
  }

  /** @param {string} method @param {string} path @param {object} body */
  #request(method, path, body) {
    return this.#api.json(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }
}

/**
 * What was said and is not yet known to be stored. It survives a reload, is sent again after every reconnect under the
 * same id, and leaves when the server acknowledges that id or the event with that id comes by.
 *
 * Each action has its own key in the device's storage: two tabs of the same room do not overwrite each other, and when
 * both send the same action, the id makes it one.
 */

/** @import { Action } from "./types.js" */
import { recallJson, recallKeys, remember } from "./storage.js";

export class Outbox {
  /** @type {Map<string, Action>} in the order they were asked for */
  #actions = new Map();
  #prefix;

  /** @param {string} room which one, over all servers this origin talks to */
  constructor(room) {
    this.#prefix = `roomful:outbox:${room}:`;
    /** @type {Action[]} */
    const kept = recallKeys(this.#prefix).flatMap((key) => recallJson(key, []));
    kept.sort((a, b) => a.at.localeCompare(b.at));
    for (const action of kept) this.#actions.set(action.id, action);
  }

  /** @param {string} id */
  get(id) {
    return this.#actions.get(id);
  }

  /** @returns {Action[]} everything that waits or failed */
  all() {
    return [...this.#actions.values()];
  }

  /** @returns {Action[]} what has to be sent */
  pending() {
    return this.all().filter((action) => action.error === undefined);
  }

  /** @param {Action} action */
  put(action) {
    this.#actions.set(action.id, action);
    remember(this.#prefix + action.id, JSON.stringify(action));
  }

  /** @param {string} id @returns {Action | undefined} what it was */
  settle(id) {
    const action = this.#actions.get(id);
    this.#actions.delete(id);
    remember(this.#prefix + id, null);
    return action;
  }
}

/** @returns {string} an id no other action has: 128 random bits */
export function newId() {
  // Not `randomUUID`: a page on plain HTTP from another machine does not have it.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `c-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

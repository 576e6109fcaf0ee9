/**
 * Which transport to try. WebSocket first; where it fails twice while plain HTTP works (a proxy that takes `Upgrade`
 * out, for example), long polling; where that fails too, polling. What failed is remembered for the tab, so that the
 * next page of the visit does not wait for it again, and is tried again after a while.
 *
 * Server-Sent Events are not a rung: what breaks WebSockets often holds back streams too, without saying so, while a
 * long poll is an ordinary answer. A page may ask for them by name.
 */

/** @import { TransportKind } from "./types.js" */

/** @type {TransportKind[]} */
const RUNGS = ["websocket", "longpoll", "poll"];
const STRIKES = 2;
const RETRY_AFTER_MS = 2 * 60_000;
const KEY = "roomful:blocked:";

export class Ladder {
  #forced;
  #strikes = 0;
  /** @type {Map<TransportKind, number>} until when a transport is not tried */
  #blocked = new Map();

  /** @param {TransportKind | "auto"} choice */
  constructor(choice) {
    this.#forced = choice === "auto" ? null : choice;
    for (const kind of RUNGS) {
      const until = Number(read(KEY + kind) ?? 0);
      if (until > Date.now()) this.#blocked.set(kind, until);
    }
  }

  /** @returns {TransportKind} the best that is not known to fail */
  get current() {
    if (this.#forced) return this.#forced;
    const now = Date.now();
    return RUNGS.find((kind) => (this.#blocked.get(kind) ?? 0) <= now) ?? "poll";
  }

  /** It failed before it was live, while plain HTTP worked. @param {TransportKind} kind */
  failed(kind) {
    this.#strikes += 1;
    if (this.#strikes >= STRIKES) this.block(kind);
  }

  /** @param {TransportKind} kind */
  block(kind) {
    this.#strikes = 0;
    if (this.#forced || kind === "poll") return;
    const until = Date.now() + RETRY_AFTER_MS;
    this.#blocked.set(kind, until);
    write(KEY + kind, String(until));
  }

  /** @param {TransportKind} kind */
  worked(kind) {
    this.#strikes = 0;
    this.#blocked.delete(kind);
    write(KEY + kind, null);
  }

  /**
   * A better transport whose time has come to be tried again beside the one that works.
   * @param {TransportKind} kind the one that works
   * @returns {TransportKind | null}
   */
  betterThan(kind) {
    if (this.#forced) return null;
    const better = RUNGS.slice(0, Math.max(0, RUNGS.indexOf(kind)));
    return better.find((other) => (this.#blocked.get(other) ?? 0) <= Date.now()) ?? null;
  }
}

/** @param {string} key */
function read(key) {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

/** @param {string} key @param {string | null} value */
function write(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // Not remembered, then: the next page finds out again.
  }
}

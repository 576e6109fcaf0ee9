/**
 * The room's HTTP API: reading pages and the log. Saying something over it is `transport/sender.js`.
 */

/** @import { End, EventsPage, MembersPage, MessagesPage, RoomInfo } from "./types.js" */

/** An answer that is not a success. `status` 0: there was no answer. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {number} [retryAfterMs] */
  constructor(status, code, message, retryAfterMs) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** How a way to the room ends with a failed request. @param {unknown} error @returns {End} */
export function endFor(error) {
  if (!(error instanceof ApiError)) throw error;
  const temporary = error.status === 0 || error.status === 429 || error.status >= 500;
  return { comeBack: temporary, code: error.code, afterMs: error.retryAfterMs };
}

/** Longer than any answer that is not held on purpose should take. */
const PATIENCE_MS = 15_000;

/** One room of one server, over HTTP. */
export class Api {
  #room;
  #token;

  /** @param {string} base the server's origin @param {string} room @param {() => string | undefined} token */
  constructor(base, room, token) {
    this.#room = `${base}/api/rooms/${encodeURIComponent(room)}`;
    this.#token = token;
  }

  /**
   * The log after a position.
   * @param {{ after: number, wait?: number, signal?: AbortSignal }} query
   * @returns {Promise<EventsPage>}
   */
  events({ after, wait = 0, signal }) {
    const held = wait > 0 ? `&wait=${wait}` : "";
    return this.json(`/events?after=${after}&limit=100${held}`, { signal }, wait * 1000 + PATIENCE_MS);
  }

  /**
   * A page of messages as they read now; the newest without `before`.
   * @param {{ before?: number, limit?: number }} query
   * @returns {Promise<MessagesPage>}
   */
  async messages({ before, limit = 50 }) {
    const from = before === undefined ? "" : `before=${before}&`;
    const page = await this.json(`/messages?${from}limit=${limit}`);
    page.messages.sort((/** @type {{ seq: number }} */ a, /** @type {{ seq: number }} */ b) => a.seq - b.seq);
    return page;
  }

  /** @returns {Promise<RoomInfo>} */
  info() {
    return this.json("");
  }

  /** @returns {Promise<MembersPage>} */
  members() {
    return this.json("/members");
  }

  /** @param {string} path @param {RequestInit} [init] @param {number} [patienceMs] @returns {Promise<any>} */
  async json(path, init = {}, patienceMs = PATIENCE_MS) {
    const late = AbortSignal.timeout(patienceMs);
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
    const response = await this.request(path, { cache: "no-store", ...init, signal });
    try {
      return await response.json();
    } catch (error) {
      throw new ApiError(0, "unreachable", String(error));
    }
  }

  /** @param {string} path @param {RequestInit} init */
  async request(path, init) {
    const headers = new Headers(init.headers);
    const token = this.#token();
    if (token) headers.set("Authorization", `Bearer ${token}`);
    const response = await fetch(this.#room + path, { ...init, headers }).catch((error) => {
      throw new ApiError(0, "unreachable", String(error));
    });
    if (response.ok) return response;
    const body = await response.json().catch(() => null);
    const seconds = Number(response.headers.get("Retry-After") ?? NaN);
    const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
    const { code = `http_${response.status}`, message = response.statusText } = body?.error ?? {};
    throw new ApiError(response.status, code, message, retryAfterMs);
  }
}

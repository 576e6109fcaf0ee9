/**
 * The room's HTTP API: reading pages and the log, and saying over POST, PATCH, DELETE and PUT.
 */

/** @import { Action, End, EventsPage, MembersPage, MessagesPage, RoomEvent, RoomInfo, You } from "./types.js" */

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
    return this.#json(`/events?after=${after}&limit=100${held}`, { signal }, wait * 1000 + PATIENCE_MS);
  }

  /**
   * The log after a position as a stream of Server-Sent Events.
   * @param {string} lastEventId @param {number} after @param {AbortSignal} signal
   */
  async eventStream(lastEventId, after, signal) {
    const headers = { Accept: "text/event-stream", "Last-Event-ID": lastEventId };
    return this.#request(`/events?after=${after}`, { headers, signal, cache: "no-store" });
  }

  /**
   * A page of messages as they read now; the newest without `before`.
   * @param {{ before?: number, limit?: number }} query
   * @returns {Promise<MessagesPage>}
   */
  async messages({ before, limit = 50 }) {
    const from = before === undefined ? "" : `before=${before}&`;
    const page = await this.#json(`/messages?${from}limit=${limit}`);
    page.messages.sort((/** @type {{ seq: number }} */ a, /** @type {{ seq: number }} */ b) => a.seq - b.seq);
    return page;
  }

  /** @returns {Promise<RoomInfo>} */
  info() {
    return this.#json("");
  }

  /** @returns {Promise<MembersPage>} */
  members() {
    return this.#json("/members");
  }

  /**
   * Does to the record what the action says. Repeating it is safe: the server knows it by its id.
   * @param {Action} action @param {string} name
   * @returns {Promise<RoomEvent & { you?: You }>}
   */
  perform(action, name) {
    const { id, kind, text, reply_to, seq, emoji, on } = action;
    switch (kind) {
      case "say":
        return this.#json("/messages", withBody("POST", { id, name, text, reply_to }));
      case "edit":
        return this.#json(`/messages/${seq}`, withBody("PATCH", { id, text }));
      case "delete":
        return this.#json(`/messages/${seq}`, withBody("DELETE", { id }));
      case "react":
        return this.#json(`/messages/${seq}/reactions`, withBody("PUT", { id, emoji, on }));
      case "topic":
        return this.#json("/topic", withBody("PUT", { id, name, text }));
    }
  }

  /** @param {string} path @param {RequestInit} [init] @param {number} [patienceMs] @returns {Promise<any>} */
  async #json(path, init = {}, patienceMs = PATIENCE_MS) {
    const late = AbortSignal.timeout(patienceMs);
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
    const response = await this.#request(path, { cache: "no-store", ...init, signal });
    try {
      return await response.json();
    } catch (error) {
      throw new ApiError(0, "unreachable", String(error));
    }
  }

  /** @param {string} path @param {RequestInit} init */
  async #request(path, init) {
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

/** @param {string} method @param {object} body @returns {RequestInit} */
function withBody(method, body) {
  return { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

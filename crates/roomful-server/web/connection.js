/**
 * Keeping a way to the room open: which transport, when to try again, when to give up, when to change to a better one.
 */

/** @import { Ears, End, State, Transport, TransportKind, Welcome } from "./types.js" */
/** @import { Api } from "./http.js" */
/** @import { Ladder } from "./ladder.js" */
/** @import { RoomLog } from "./log.js" */
import { Backoff } from "./backoff.js";
import { endFor } from "./http.js";
import { WebSocketTransport } from "./transport/websocket.js";

const TRY_BETTER_EVERY_MS = 30_000;
const FALLBACK_AFTER_MS = 5_000;

/**
 * What a transport hears from the room, and what a connection asks of it besides.
 * @typedef {Omit<Ears, "ended"> & { state: (state: State) => void, tokenRefused: () => boolean }} Owner
 */

export class Connection {
  /** @type {State} */
  state;
  #owner;
  #api;
  #log;
  #ladder;
  #socketUrl;
  #backoff = new Backoff();
  /** @type {Transport | null} the one that is tried or live */
  #transport = null;
  /** @type {Transport | null} a better one that is tried beside it */
  #candidate = null;
  /** @type {AbortController | null} ends with `close` */
  #life = null;
  /** @type {number | undefined} */
  #retryTimer = undefined;
  #hasFallback = false;

  /** @param {Owner} owner @param {Api} api @param {RoomLog} log @param {Ladder} ladder @param {string} socketUrl */
  constructor(owner, api, log, ladder, socketUrl) {
    this.#owner = owner;
    this.#api = api;
    this.#log = log;
    this.#ladder = ladder;
    this.#socketUrl = socketUrl;
    this.state = { phase: "connecting", transport: ladder.current };
  }

  /** The transport that is tried or live. */
  get current() {
    return this.#transport;
  }

  /** The transport to speak on, where there is one that works. */
  get live() {
    return this.state.phase === "live" ? this.#transport : null;
  }

  open() {
    if (this.#life) return;
    this.#life = new AbortController();
    const { signal } = this.#life;
    const look = () => (this.state.phase === "offline" ? this.retryNow() : this.#transport?.nudge());
    addEventListener("online", look, { signal });
    addEventListener("offline", () => this.#transport?.nudge(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || look(), { signal });
    const timer = setInterval(() => void this.#tryBetter(), TRY_BETTER_EVERY_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    void this.#attempt();
  }

  close() {
    this.#life?.abort();
    this.#life = null;
    clearTimeout(this.#retryTimer);
    this.#candidate?.stop();
    this.#transport?.stop();
    this.#candidate = this.#transport = null;
    this.#setState({ phase: "closed", transport: this.#ladder.current });
  }

  /** Does not wait for the next try. */
  retryNow() {
    if (this.#life === null || !["offline", "closed"].includes(this.state.phase)) return;
    clearTimeout(this.#retryTimer);
    void this.#attempt();
  }

  /** What comes in has a hole that cannot be filled: a connection that does not work. */
  abandon() {
    const transport = this.#transport;
    if (transport === null) return;
    transport.stop();
    this.#ended(transport, { comeBack: true });
  }

  async #attempt() {
    const kind = this.#ladder.current;
    this.#setState({ phase: "connecting", transport: kind });
    try {
      if (this.#log.position === null && !this.#log.unnumbered) await this.#log.restart();
    } catch (error) {
      return this.#wait(endFor(error));
    }
    const transport = await this.#make(kind);
    if (transport === null) return this.#wait({ comeBack: true });
    if (this.#life === null || this.#transport !== null) return;
    this.#transport = transport;
    transport.start();
  }

  /** @param {TransportKind} kind @returns {Promise<Transport | null>} `null` where its module could not be loaded */
  async #make(kind) {
    /** @type {Transport | null} */
    let transport = null;
    /** @type {Ears} */
    const ears = {
      ...this.#owner,
      opened: (welcome) => transport && this.#opened(transport, welcome),
      ended: (end) => transport && this.#ended(transport, end),
    };
    transport = await makeTransport(kind, ears, this.#api, this.#socketUrl).catch(() => null);
    return transport;
  }

  /** @param {Transport} transport @param {Welcome} welcome */
  #opened(transport, welcome) {
    if (transport === this.#candidate) {
      this.#transport?.stop();
      this.#transport = transport;
      this.#candidate = null;
    }
    this.#backoff.reset();
    this.#ladder.worked(transport.kind);
    this.#owner.opened(welcome);
    this.#setState({ phase: "live", transport: transport.kind });
    if (!this.#hasFallback) setTimeout(loadFallback, FALLBACK_AFTER_MS);
    this.#hasFallback = true;
  }

  /** @param {Transport} transport @param {End} end */
  #ended(transport, end) {
    if (transport === this.#candidate) {
      this.#candidate = null;
      return this.#ladder.block(transport.kind);
    }
    if (transport !== this.#transport) return;
    this.#transport = null;
    if (this.state.phase === "live" || !end.comeBack || this.#log.unnumbered) return this.#wait(end);
    // It never got to work. Is it this transport, or the whole server?
    this.#log.catchUp().then(
      () => {
        this.#ladder.failed(transport.kind);
        if (this.#ladder.current === transport.kind) this.#wait(end);
        else if (this.#life) void this.#attempt();
      },
      () => this.#wait(end),
    );
  }

  /** @param {End} end */
  #wait({ comeBack, afterMs, code }) {
    if (this.#life === null) return;
    const transport = this.#ladder.current;
    const tokenRefused = ["ws_4501", "bad_token"].includes(code ?? "") && this.#owner.tokenRefused();
    if (!comeBack && !tokenRefused) return this.#setState({ phase: "closed", transport, code });
    const ms = afterMs ?? this.#backoff.next();
    this.#retryTimer = setTimeout(() => this.#attempt(), ms);
    this.#setState({ phase: "offline", transport, retryAt: Date.now() + ms, code });
  }

  async #tryBetter() {
    const { live } = this;
    const better = live && this.#candidate === null ? this.#ladder.betterThan(live.kind) : null;
    const candidate = better && (await this.#make(better));
    if (candidate === null || live !== this.live || this.#candidate !== null) return;
    this.#candidate = candidate;
    candidate.start();
  }

  /** @param {State} state */
  #setState(state) {
    this.state = state;
    this.#owner.state(state);
  }
}

/**
 * Nearly everybody gets a WebSocket: the other ways are loaded by those who need them.
 * @param {TransportKind} kind @param {Ears} ears @param {Api} api @param {string} socketUrl @returns {Promise<Transport>}
 */
async function makeTransport(kind, ears, api, socketUrl) {
  switch (kind) {
    case "websocket":
      return new WebSocketTransport(ears, socketUrl);
    case "sse": {
      const { SseTransport } = await import("./transport/sse.js");
      return new SseTransport(ears, api);
    }
    case "longpoll": {
      const { LongPollTransport } = await import("./transport/longpoll.js");
      return new LongPollTransport(ears, api);
    }
    case "poll": {
      const { PollTransport } = await import("./transport/poll.js");
      return new PollTransport(ears, api);
    }
  }
}

/** A way out that has to be fetched once the network is bad is none. */
function loadFallback() {
  import("./transport/longpoll.js").catch(() => {});
}

/**
 * WebSocket with the subprotocol `roomful.v1`. It counts as working only once `chat.welcome` is here: a proxy may well
 * let the handshake through and nothing after it.
 */

/** @import { Action, Ears, Transport } from "../types.js" */

const WELCOME_WITHIN_MS = 10_000;
const PING_EVERY_MS = 25_000;
const DEAD_AFTER_MS = 45_000;
const ANSWER_WITHIN_MS = 5_000;

/** @implements {Transport} */
export class WebSocketTransport {
  /** @type {"websocket"} */
  kind = "websocket";
  #ears;
  #url;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {number | undefined} */
  #clock = undefined;
  #welcomed = false;
  /** @type {number | null} when something was asked that is still unanswered */
  #askedAt = null;
  #askAgainAt = 0;
  /** @type {{ comeBack: boolean, afterMs: number } | null} */
  #bye = null;

  /** @param {Ears} ears @param {string} url */
  constructor(ears, url) {
    this.#ears = ears;
    this.#url = url;
  }

  start() {
    const socket = new WebSocket(this.#url, ["roomful.v1"]);
    this.#socket = socket;
    this.#clock = setTimeout(() => this.#end({ comeBack: true }), WELCOME_WITHIN_MS);
    socket.onopen = () => this.#hello(this.#ears.identity());
    socket.onmessage = ({ data }) => this.#read(data);
    socket.onclose = ({ code }) => this.#end({ comeBack: comesBack(code), code: `ws_${code}`, ...this.#bye });
  }

  stop() {
    clearTimeout(this.#clock);
    clearInterval(this.#clock);
    const socket = this.#socket;
    this.#socket = null;
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  nudge() {
    if (!this.#welcomed) return;
    this.#ping();
    setTimeout(() => this.#checkAnswer(ANSWER_WITHIN_MS), ANSWER_WITHIN_MS + 100);
  }

  /** @param {Action} action */
  send({ kind, id, text, reply_to, seq, emoji, on }) {
    this.#write({ type: `chat.${kind}`, id, text, reply_to, seq, emoji, on });
  }

  /** @param {object} signal */
  signal(signal) {
    this.#write(signal);
  }

  /** @param {{ name?: string, token?: string }} identity */
  #hello(identity) {
    const position = this.#ears.position();
    this.#write({ type: "chat.hello", ...identity, after: position?.seq, epoch: position?.epoch });
  }

  /** @param {unknown} data */
  #read(data) {
    this.#askedAt = null;
    this.#askAgainAt = Date.now() + PING_EVERY_MS;
    if (typeof data !== "string") return;
    const message = JSON.parse(data);
    switch (message.type) {
      case "chat.welcome":
        this.#welcomed = true;
        clearTimeout(this.#clock);
        this.#clock = setInterval(() => this.#tick(), 1_000);
        return this.#ears.opened(message);
      case "chat.bye":
        this.#bye = { comeBack: message.reconnect, afterMs: message.after_ms };
        return;
      case "chat.pong":
        return;
      case "chat.error":
        // A name from an earlier visit may not be allowed any more: come in without one.
        if (!this.#welcomed && message.code === "bad_name") this.#hello({ token: this.#ears.identity().token });
        return this.#ears.heard(message);
      default:
        this.#ears.heard(message);
    }
  }

  /** @param {object} message */
  #write(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #tick() {
    if (Date.now() >= this.#askAgainAt && this.#askedAt === null) this.#ping();
    this.#checkAnswer(DEAD_AFTER_MS - PING_EVERY_MS);
  }

  #ping() {
    this.#askedAt = Date.now();
    this.#write({ type: "chat.ping" });
  }

  /** @param {number} withinMs */
  #checkAnswer(withinMs) {
    if (this.#askedAt !== null && Date.now() - this.#askedAt >= withinMs) this.#end({ comeBack: true });
  }

  /** @param {import("../types.js").End} end */
  #end(end) {
    if (this.#socket === null) return;
    this.stop();
    this.#ears.ended(end);
  }
}

/**
 * 4500 to 4999 mean stay away, as do the codes that say this client does something wrong; all others come back.
 * @param {number} code
 */
function comesBack(code) {
  return code < 4500 && ![1003, 1007, 1008, 1009].includes(code);
}

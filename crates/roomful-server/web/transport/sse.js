/**
 * Server-Sent Events, read with `fetch` and not `EventSource`: that one cannot send the token in a header, and a token
 * does not belong into a URL.
 */

/** @import { Action, Ears, End, Transport } from "../types.js" */
/** @import { Api } from "../http.js" */
import { ApiError, endFor } from "../http.js";
import { Sender } from "./sender.js";

const WELCOME_WITHIN_MS = 10_000;
const DEAD_AFTER_MS = 45_000;

/** @implements {Transport} */
export class SseTransport {
  /** @type {"sse"} */
  kind = "sse";
  #api;
  #ears;
  #sender;
  #running = false;
  #abort = new AbortController();
  #heardAt = 0;
  #welcomed = false;
  /** @type {number | undefined} */
  #clock = undefined;

  /** @param {Ears} ears @param {Api} api */
  constructor(ears, api) {
    this.#ears = ears;
    this.#api = api;
    this.#sender = new Sender(api, ears, () => this.#end({ comeBack: true }));
  }

  start() {
    this.#running = true;
    this.#heardAt = Date.now();
    this.#clock = setInterval(() => this.#checkAlive(), 1_000);
    this.#read().catch((error) => this.#end(endFor(error)));
  }

  stop() {
    this.#running = false;
    clearInterval(this.#clock);
    this.#sender.stop();
    this.#abort.abort();
  }

  nudge() {
    this.#checkAlive();
  }

  /** @param {Action} action */
  send(action) {
    this.#sender.send(action);
  }

  /** The stream only comes in; the next thing said carries the name. */
  signal() {}

  async #read() {
    const position = this.#ears.position();
    if (position === null) return this.#end({ comeBack: false, code: "no_history" });
    const signal = this.#abort.signal;
    const headers = { Accept: "text/event-stream", "Last-Event-ID": `${position.epoch}:${position.seq}` };
    const response = await this.#api.request(`/events?after=${position.seq}`, { headers, signal, cache: "no-store" });
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream") || response.body === null) {
      throw new ApiError(0, "no_stream", "the answer is not an event stream");
    }
    const parser = new EventStreamParser((data) => this.#take(data));
    const text = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done) return this.#end({ comeBack: true });
      this.#heardAt = Date.now();
      parser.push(text.decode(value, { stream: true }));
    }
  }

  /** @param {string} data */
  #take(data) {
    const message = JSON.parse(data);
    if (message.type === "chat.welcome") {
      this.#welcomed = true;
      this.#ears.opened(message);
    } else if (message.type === "chat.bye") this.#end({ comeBack: message.reconnect, afterMs: message.after_ms });
    else this.#ears.heard(message);
  }

  #checkAlive() {
    // Something on the way that keeps the stream back to fill its buffer shows by the missing welcome.
    const patience = this.#welcomed ? DEAD_AFTER_MS : WELCOME_WITHIN_MS;
    if (Date.now() - this.#heardAt >= patience) this.#end({ comeBack: true });
  }

  /** @param {End} end */
  #end(end) {
    if (!this.#running) return;
    this.stop();
    this.#ears.ended(end);
  }
}

/** Event stream interpretation of the HTML standard, as far as `data` goes. */
export class EventStreamParser {
  #rest = "";
  /** @type {string[]} */
  #data = [];
  #dispatch;

  /** @param {(data: string) => void} dispatch */
  constructor(dispatch) {
    this.#dispatch = dispatch;
  }

  /** @param {string} text */
  push(text) {
    // A `\r` at the end may be the first half of `\r\n`: it waits for what follows.
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    lines.forEach((line) => this.#line(line));
  }

  /** @param {string} line */
  #line(line) {
    if (line === "") {
      const data = this.#data.splice(0);
      if (data.length > 0) this.#dispatch(data.join("\n"));
    } else if (line === "data") {
      this.#data.push("");
    } else if (line.startsWith("data:")) {
      this.#data.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
}

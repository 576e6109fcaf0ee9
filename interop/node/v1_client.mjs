/**
 * A member of a room who speaks `roomful.v1`, with Node's `ws`.
 *
 * Usage: v1_client.mjs [ws://HOST/room/ROOM/ [NAME]], or the address in ROOMFUL_URL.
 *
 * Each line of standard input is said; what the server sends is printed as it comes, one JSON object a line. When the
 * connection is lost it is made again: the token says who we are, `after` what we have, and what was not acknowledged is
 * said again under the same id. At the end of the input the client waits for the last acknowledgement and leaves.
 */

import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";

/** Messages said and not yet acknowledged. */
const WINDOW = 32;
const RETRY_MS = 50;

class Member {
  /** What was said and is not acknowledged, by id and in order. */
  #waiting = new Map();
  #hello;
  #socket = null;
  #stopping = false;
  /** Called at the next acknowledgement. */
  #acknowledged = () => {};

  constructor(url, name) {
    this.url = url;
    this.#hello = { type: "chat.hello", name };
  }

  async say(id, text) {
    while (this.#waiting.size >= WINDOW) await this.#acknowledgement();
    const message = { type: "chat.say", id, text };
    this.#waiting.set(id, message);
    // Without a connection it is said when there is one again.
    this.#socket?.send(JSON.stringify(message));
  }

  /** Keeps a connection until told to leave. */
  async stay() {
    while (!this.#stopping) {
      const socket = new WebSocket(this.url, ["roomful.v1"]);
      socket.on("open", () => socket.send(JSON.stringify(this.#hello)));
      socket.on("message", (data) => this.#hear(socket, JSON.parse(data.toString())));
      // Its `close` follows, which is what we wait for.
      socket.on("error", () => {});
      // Not `once(socket, "close")`, which an `error` before it would reject.
      await new Promise((resolve) => socket.on("close", resolve));
      this.#socket = null;
      if (!this.#stopping) await sleep(RETRY_MS);
    }
  }

  async leave() {
    while (this.#waiting.size > 0) await this.#acknowledgement();
    this.#stopping = true;
    this.#socket?.close(1000);
  }

  #hear(socket, message) {
    console.log(JSON.stringify(message));
    if (message.type === "chat.welcome") {
      // Where the position was not known the newest page follows, which starts anew.
      const after = message.recovered ? (this.#hello.after ?? 0) : 0;
      this.#hello = { ...this.#hello, token: message.you.token, epoch: message.epoch, after };
      for (const waiting of this.#waiting.values()) socket.send(JSON.stringify(waiting));
      this.#socket = socket;
    } else if (message.type === "chat.said") {
      this.#waiting.delete(message.id);
      this.#acknowledged();
    } else if ("seq" in message) {
      this.#hello.after = message.seq;
    }
  }

  #acknowledgement() {
    return new Promise((resolve) => (this.#acknowledged = resolve));
  }
}

const member = new Member(process.argv[2] ?? process.env.ROOMFUL_URL, process.argv[3] ?? "Node");
const staying = member.stay();
const run = randomBytes(4).toString("hex");
let number = 0;
for await (const text of createInterface({ input: process.stdin })) {
  number += 1;
  await member.say(`${run}-${number}`, text);
}
await member.leave();
await staying;
console.log(JSON.stringify({ type: "client.left" }));

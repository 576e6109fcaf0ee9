/**
 * The server's measurements as they come, over its own WebSocket; after a break it tries again.
 *
 * @typedef {object} Sample
 * @property {string} at
 * @property {number} connections
 * @property {number} rooms
 * @property {number} members
 * @property {number} messages_per_second
 * @property {number} deliveries_per_second
 * @property {number | null} stored_p99_ms
 * @property {number | null} memory_bytes
 *
 * @typedef {object} Welcome
 * @property {string} version
 * @property {number} uptime_seconds
 *
 * @typedef {object} Listener
 * @property {(welcome: Welcome) => void} welcome
 * @property {(sample: Sample) => void} sample
 * @property {() => void} offline
 * @property {(wrong: boolean) => void} token the server asks for the token, or takes not the one it was given
 */
import { Backoff } from "./backoff.js";

/** Stay away: this token is not the one. */
const BAD_TOKEN = 4501;

export class Feed {
  #listener;
  #backoff = new Backoff();
  /** Known as long as this page is open, and kept nowhere. */
  #token = "";

  /** @param {Listener} listener */
  constructor(listener) {
    this.#listener = listener;
  }

  /** @param {string} [token] */
  connect(token = this.#token) {
    this.#token = token;
    const socket = new WebSocket(`ws${location.protocol.slice(4)}//${location.host}/status/`);
    let asked = false;
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      switch (message.type) {
        case "status.token_wanted":
          asked = this.#token === "";
          if (asked) return socket.close();
          return socket.send(JSON.stringify({ type: "status.hello", token: this.#token }));
        case "status.welcome":
          this.#backoff.reset();
          return this.#listener.welcome(message);
        case "status.sample":
          return this.#listener.sample(message);
      }
    };
    socket.onclose = ({ code }) => {
      if (asked || code === BAD_TOKEN) {
        this.#token = "";
        return this.#listener.token(!asked);
      }
      this.#listener.offline();
      setTimeout(() => this.connect(), this.#backoff.next());
    };
  }
}

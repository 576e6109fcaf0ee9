/**
 * The real server, on a port of its own with a file of its own. `ROOMFUL_BIN` says which binary.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export class Server {
  url = "";
  #process;
  #folder = "";
  /** After the first start the port stays: a page finds the restarted server where it was. */
  #port = 0;

  #settings;

  /** @param {Record<string, string>} settings as in `{ LIMITS__BURST: "3" }` */
  constructor(settings = {}) {
    this.#settings = settings;
  }

  /** @param {Record<string, string>} [settings] */
  static async start(settings) {
    const server = new Server(settings);
    server.#folder = await mkdtemp(join(tmpdir(), "roomful-web-"));
    await server.start();
    return server;
  }

  async start() {
    const { ROOMFUL_BIN } = process.env;
    if (!ROOMFUL_BIN) throw new Error("set ROOMFUL_BIN to the path of the roomful binary");
    const history = `sqlite:${join(this.#folder, "roomful.db")}`;
    const args = ["--listen", `127.0.0.1:${this.#port}`, "--history", history, "--no-rate-limits"];
    // The server takes settings from variables of this name, and refuses those it does not know.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ROOMFUL_")));
    for (const [key, value] of Object.entries(this.#settings)) env[`ROOMFUL_${key}`] = value;
    const child = spawn(ROOMFUL_BIN, args, { cwd: this.#folder, env, stdio: ["ignore", "pipe", "inherit"] });
    this.#process = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
      if (url === null) continue;
      this.url = url[0];
      this.#port = Number(url[1]);
      // What it prints from now on is not of interest, and must not fill the pipe.
      child.stdout.resume();
      return;
    }
    throw new Error("the server ended without saying where it listens");
  }

  /** @param {NodeJS.Signals} signal */
  async stop(signal) {
    const gone = once(this.#process, "exit");
    this.#process.kill(signal);
    await gone;
  }

  async end() {
    await this.stop("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** @param {string} room @param {string} text */
  async post(room, text) {
    const address = `${this.url}/api/rooms/${encodeURIComponent(room)}/messages`;
    const response = await fetch(address, { method: "POST", headers: { "Content-Type": "text/plain" }, body: text });
    if (response.status !== 201) throw new Error(`POST answered ${response.status}: ${await response.text()}`);
    return response.json();
  }

  /** @param {string} room @returns {Promise<any[]>} the whole log */
  async log(room) {
    const events = [];
    for (;;) {
      const address = `${this.url}/api/rooms/${encodeURIComponent(room)}/events?after=${events.length}&limit=100`;
      const page = await (await fetch(address)).json();
      if (page.events.length === 0) return events;
      events.push(...page.events);
    }
  }
}

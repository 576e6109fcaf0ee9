/**
 * A program that a test starts: awaited until it says that it is ready, and ended with all that it started.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Those that run end with us, however a test ends. @type {Set<Program>} */
const running = new Set();
process.on("exit", () => running.forEach((program) => program.kill()));

export class Program {
  #process;
  /** What it said. @type {string[]} */
  #lines = [];
  /** Called for each line. @type {() => void} */
  #heard = () => {};

  /** @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} env */
  constructor(command, args, env) {
    // A process group of its own, so that what it starts ends with it. The fourth stream is Xvfb's `-displayfd`.
    const stdio = /** @type {const} */ (["ignore", "pipe", "pipe", "pipe"]);
    this.#process = spawn(command, args, { env: { ...process.env, ...env }, stdio, detached: true });
    for (const stream of this.#process.stdio.slice(1)) {
      const input = /** @type {import("node:stream").Readable} */ (stream);
      createInterface({ input }).on("line", (line) => {
        this.#lines.push(line);
        this.#heard();
      });
    }
    this.#process.once("exit", () => {
      running.delete(this);
      this.#heard();
    });
  }

  /** @param {string} command @param {string[]} args @param {NodeJS.ProcessEnv} [env] beside our own variables */
  static async start(command, args, env = {}) {
    const program = new Program(command, args, env);
    await once(program.#process, "spawn").catch((cause) => {
      throw new Error(`${command} cannot be started; \`cargo xtask test --only engines\` says what to install`, { cause });
    });
    running.add(program);
    return program;
  }

  get ended() {
    const { exitCode, signalCode } = this.#process;
    return exitCode !== null || signalCode !== null;
  }

  /** Waits for a line that matches. @param {RegExp} pattern @returns {Promise<string>} its first group */
  async says(pattern) {
    for (;;) {
      const match = this.#lines.map((line) => pattern.exec(line)).find(Boolean);
      if (match) return match[1];
      if (this.ended) throw new Error(`${this.#process.spawnfile} ended early, and said:\n${this.#lines.join("\n")}`);
      await new Promise((heard) => (this.#heard = () => heard(undefined)));
    }
  }

  kill() {
    try {
      process.kill(-(/** @type {number} */ (this.#process.pid)), "SIGKILL");
    } catch {
      // It has ended by itself in the meantime.
    }
  }

  async end() {
    if (this.ended) return;
    const gone = once(this.#process, "exit");
    this.kill();
    await gone;
  }
}

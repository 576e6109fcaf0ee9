/**
 * Browser windows by WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/), as Firefox speaks it without a driver: JSON
 * over a WebSocket. Each window has storage of its own.
 */
import { once } from "node:events";
import { WebSocket } from "ws";

export class BidiConnection {
  #socket;
  #last = 0;
  /** @type {Map<number, PromiseWithResolvers<any>>} */
  #waiting = new Map();

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.on("message", (text) => {
      const { id, type, result, error, message } = JSON.parse(String(text));
      const command = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (type === "success") command?.resolve(result);
      else if (type === "error") command?.reject(new Error(`${error}: ${message}`));
    });
    socket.on("close", () => {
      for (const command of this.#waiting.values()) command.reject(new Error("the browser closed the connection"));
    });
  }

  /** @param {string} address as in `ws://127.0.0.1:9222` */
  static async open(address) {
    const socket = new WebSocket(`${address}/session`);
    await once(socket, "open");
    const connection = new BidiConnection(socket);
    await connection.send("session.new", { capabilities: {} });
    return connection;
  }

  /** @param {string} method @param {object} params @returns {Promise<any>} */
  send(method, params) {
    const id = (this.#last += 1);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, /** @type {any} */ ({ resolve, reject }));
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }

  async window() {
    const { userContext } = await this.send("browser.createUserContext", {});
    const { context } = await this.send("browsingContext.create", { type: "window", userContext });
    await this.send("browsingContext.setViewport", { context, viewport: { width: 1280, height: 720 } });
    return new BidiWindow(this, context, userContext);
  }

  close() {
    this.#socket.close();
  }
}

class BidiWindow {
  #connection;
  #context;
  #userContext;

  /** @param {BidiConnection} connection @param {string} context @param {string} userContext */
  constructor(connection, context, userContext) {
    this.#connection = connection;
    this.#context = context;
    this.#userContext = userContext;
  }

  /** @param {string} url */
  async goto(url) {
    await this.#connection.send("browsingContext.navigate", { context: this.#context, url, wait: "complete" });
  }

  async reload() {
    await this.#connection.send("browsingContext.reload", { context: this.#context, wait: "complete" });
  }

  /** @param {string} expression */
  async #value(expression) {
    const target = { context: this.#context };
    const answer = await this.#connection.send("script.evaluate", { expression, target, awaitPromise: false });
    if (answer.type === "exception") throw new Error(answer.exceptionDetails.text);
    return answer.result.value;
  }

  /** @param {string} expression @returns {Promise<string>} its value, which has to be a string */
  evaluate(expression) {
    return this.#value(expression);
  }

  /** @param {object[]} actions https://www.w3.org/TR/webdriver2/#actions */
  async perform(actions) {
    await this.#connection.send("input.performActions", { context: this.#context, actions });
  }

  /** What is in a frame. @param {string} expression its `<iframe>` */
  async frame(expression) {
    const { context } = await this.#value(`${expression}.contentWindow`);
    return new BidiWindow(this.#connection, context, this.#userContext);
  }

  async close() {
    await this.#connection.send("browser.removeUserContext", { userContext: this.#userContext });
  }
}

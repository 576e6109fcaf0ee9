/**
 * A browser window by WebDriver (https://www.w3.org/TR/webdriver2/), as chromedriver and WebKitWebDriver speak it: JSON
 * over HTTP. Each session is a browser with storage of its own.
 */

/** The key under which WebDriver names an element. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** @param {string} url @param {string} method @param {object} [body] */
async function ask(url, method, body) {
  const response = await fetch(url, { method, body: method === "POST" ? JSON.stringify(body ?? {}) : undefined });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`${method} ${new URL(url).pathname}: ${value.error}: ${value.message}`);
  return value;
}

/** What a driver has open: which frame of it the next command is for. */
class Session {
  /** @type {object | null} */
  frame = null;

  /** @param {string} url */
  constructor(url) {
    this.url = url;
  }

  /** @param {object | null} frame */
  async enter(frame) {
    if (this.frame === frame) return;
    await ask(`${this.url}/frame`, "POST", { id: null });
    if (frame) await ask(`${this.url}/frame`, "POST", { id: frame });
    this.frame = frame;
  }
}

export class WebDriverWindow {
  #session;
  /** The element of the frame that this is, and the window that shows it. @type {{ element: object, around: WebDriverWindow } | null} */
  #frame;

  /** @param {Session} session @param {{ element: object, around: WebDriverWindow } | null} [frame] */
  constructor(session, frame = null) {
    this.#session = session;
    this.#frame = frame;
  }

  /** @param {string} driver its address @param {object} capabilities */
  static async open(driver, capabilities) {
    const { sessionId } = await ask(`${driver}/session`, "POST", { capabilities: { alwaysMatch: capabilities } });
    const session = new Session(`${driver}/session/${sessionId}`);
    await ask(`${session.url}/window/rect`, "POST", { width: 1280, height: 800 });
    return new WebDriverWindow(session);
  }

  /** @param {string} command @param {object} body */
  async #do(command, body) {
    await this.#session.enter(this.#frame?.element ?? null);
    return ask(`${this.#session.url}/${command}`, "POST", body);
  }

  /** @param {string} script @param {object[]} [args] */
  #run(script, args = []) {
    return this.#do("execute/sync", { script: `return ${script}`, args });
  }

  /** @param {string} url */
  async goto(url) {
    await this.#do("url", { url });
  }

  async reload() {
    await this.#do("refresh", {});
  }

  /** @param {string} expression @returns {Promise<string>} its value, which has to be a string */
  evaluate(expression) {
    return this.#run(expression);
  }

  /** @param {{ actions: any[] }[]} actions https://www.w3.org/TR/webdriver2/#actions */
  async perform(actions) {
    if (this.#frame === null) return this.#do("actions", { actions });
    // Both drivers take the coordinates of a frame in a shadow tree for those of the whole page.
    const { element, around } = this.#frame;
    const { x, y } = await around.#run("arguments[0].getBoundingClientRect().toJSON()", [element]);
    const moved = actions.map(({ actions: parts, ...source }) => ({
      ...source,
      actions: parts.map((part) => (part.type === "pointerMove" ? { ...part, x: part.x + Math.round(x), y: part.y + Math.round(y) } : part)),
    }));
    return around.perform(moved);
  }

  /** What is in a frame. @param {string} expression its `<iframe>` */
  async frame(expression) {
    const element = { [ELEMENT]: (await this.#run(expression))[ELEMENT] };
    return new WebDriverWindow(this.#session, { element, around: this });
  }

  async close() {
    await ask(this.#session.url, "DELETE");
  }
}

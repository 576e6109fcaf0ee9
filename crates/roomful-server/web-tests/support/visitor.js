/**
 * Somebody at a browser window of any engine: what they do with mouse and keyboard, and what they see.
 *
 * Selectors are CSS; `>>>` looks into the shadow tree of what stands before it.
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

/** What happens at all happens within this time, also on a machine that is busy with other things. */
const DEADLINE_MS = 60_000;

/** The keys that are no characters, by https://www.w3.org/TR/webdriver2/#keyboard-actions. */
const KEYS = { Tab: "\uE004", Enter: "\uE007", Shift: "\uE008", Control: "\uE009", Escape: "\uE00C", ArrowUp: "\uE013" };

/**
 * In the page: the last visible element that fits, as a menu or a message is the newest of its kind.
 * @param {string} selector @param {string} [text] what it contains @returns {Element | undefined}
 */
function find(selector, text = "") {
  /** @type {ParentNode[]} */
  let roots = [document];
  const parts = selector.split(" >>> ");
  const last = parts.pop() ?? "";
  for (const part of parts) roots = roots.flatMap((root) => [...root.querySelectorAll(part)].flatMap((host) => host.shadowRoot ?? []));
  const all = roots.flatMap((root) => [...root.querySelectorAll(last)]);
  return all.filter((element) => element.textContent?.includes(text) && element.checkVisibility()).at(-1);
}

/**
 * In the page: where to click on an element, once nothing covers it.
 * @param {string} selector @param {string} [text] @returns {{ x: number, y: number } | null}
 */
function reachable(selector, text) {
  const element = find(selector, text);
  if (!element) return null;
  element.scrollIntoView({ block: "nearest" });
  const { left, top, width, height } = element.getBoundingClientRect();
  const [x, y] = [Math.round(left + width / 2), Math.round(top + height / 2)];
  const root = /** @type {Document | ShadowRoot} */ (element.getRootNode());
  return width > 0 && element.contains(root.elementFromPoint(x, y)) ? { x, y } : null;
}

/** In the page: keeps what goes wrong in it. */
function listen() {
  const wrong = (window.wrong ??= []);
  addEventListener("error", ({ message }) => wrong.push(message));
  addEventListener("unhandledrejection", ({ reason }) => wrong.push(String(reason)));
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => wrong.push(`${violatedDirective} ${blockedURI}`));
}

export class Visitor {
  #window;

  /** @param {import("./engines.js").Window} window */
  constructor(window) {
    this.#window = window;
  }

  /** @param {string} url */
  async goto(url) {
    await this.#window.goto(url);
    await this.evaluate(listen);
  }

  async reload() {
    await this.#window.reload();
    await this.evaluate(listen);
  }

  /** Somebody who was here before, under this name. @param {string} url @param {string} name */
  async introduce(url, name) {
    await this.#window.goto(new URL("/", url).href);
    await this.evaluate((/** @type {string} */ kept) => localStorage.setItem("roomful:name", kept), name);
    await this.goto(url);
  }

  /**
   * Runs a function in the page, which may call `find` and `reachable` and knows nothing else of this file.
   * @template T @template {any[]} A @param {(...args: A) => T} fn @param {A} args @returns {Promise<T>}
   */
  async evaluate(fn, ...args) {
    const call = `(${fn})(${args.map((arg) => JSON.stringify(arg)).join(", ")})`;
    const expression = `(() => { ${find}; ${reachable}; return JSON.stringify({ value: ${call} }); })()`;
    return JSON.parse(await this.#window.evaluate(expression)).value;
  }

  /**
   * Waits until the function answers something, and answers that.
   * @template T @template {any[]} A @param {(...args: A) => T} fn @param {A} args @returns {Promise<NonNullable<T>>}
   */
  async waitFor(fn, ...args) {
    const end = performance.now() + DEADLINE_MS;
    /** @type {unknown} */
    let cause;
    do {
      try {
        const value = await this.evaluate(fn, ...args);
        if (value) return value;
        cause = undefined;
      } catch (error) {
        // One page goes and the next is not there yet; what else is wrong is still so at the end.
        cause = error;
      }
      await pause(20);
    } while (performance.now() < end);
    const page = await this.evaluate(() => document.body.innerText).catch(String);
    throw new Error(`waited in vain for ${fn} with ${JSON.stringify(args)} on the page:\n${page}`, { cause });
  }

  /** Waits until the page has done what it had put off to the next frame. */
  async drawn() {
    await this.evaluate(() => {
      window.drawn = false;
      requestAnimationFrame(() => requestAnimationFrame(() => (window.drawn = true)));
    });
    await this.waitFor(() => window.drawn);
  }

  /** @param {string} selector @param {string} [text] */
  async sees(selector, text) {
    await this.waitFor((one, words) => find(one, words) !== undefined, selector, text ?? "");
  }

  /** @param {string} selector */
  async seesNo(selector) {
    await this.waitFor((one) => find(one) === undefined, selector);
  }

  /** Waits until exactly these texts are there, in order. @param {string} selector @param {string[]} wanted */
  async reads(selector, wanted) {
    const same = (/** @type {string} */ all, /** @type {string[]} */ texts) =>
      JSON.stringify([...document.querySelectorAll(all)].map((node) => node.textContent)) === JSON.stringify(texts);
    await this.waitFor(same, selector, wanted);
  }

  /** @param {string} selector @param {string} [text] */
  async hover(selector, text) {
    await this.#point(selector, text, []);
  }

  /** @param {string} selector @param {string} [text] */
  async click(selector, text) {
    await this.#point(selector, text, [{ type: "pointerDown", button: 0 }, { type: "pointerUp", button: 0 }]);
  }

  /** @param {string} selector @param {string | undefined} text @param {object[]} then what the mouse does there */
  async #point(selector, text, then) {
    // What comes with the next frame may move it.
    await this.drawn();
    const { x, y } = await this.waitFor((one, words) => reachable(one, words), selector, text ?? "");
    const actions = [{ type: "pointerMove", x, y, duration: 0 }, ...then];
    await this.#window.perform([{ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" }, actions }]);
  }

  /** Types into what has the focus. @param {string} text */
  async type(text) {
    await this.#keys([...text].flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }]));
  }

  /** @param {string} keys as in `Shift+Enter` */
  async press(keys) {
    const values = keys.split("+").map((key) => /** @type {Record<string, string>} */ (KEYS)[key] ?? key);
    const down = values.map((value) => ({ type: "keyDown", value }));
    await this.#keys([...down, ...values.reverse().map((value) => ({ type: "keyUp", value }))]);
  }

  /** @param {object[]} actions */
  async #keys(actions) {
    await this.#window.perform([{ type: "key", id: "keyboard", actions }]);
  }

  /** What they see in a frame. @param {string} selector of the `<iframe>` */
  async inFrame(selector) {
    await this.sees(selector);
    const iframe = `(() => { ${find}; return find(${JSON.stringify(selector)}); })()`;
    return new Visitor(await this.#window.frame(iframe));
  }

  async leave() {
    const wrong = await this.evaluate(() => window.wrong ?? []);
    await this.#window.close();
    assert.deepEqual(wrong, []);
  }
}

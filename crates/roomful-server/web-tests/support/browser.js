/**
 * People with browsers: each has storage of their own, as on a device of their own. A page that reports an error or a
 * breach of its Content-Security-Policy fails its test.
 */
import { chromium } from "playwright-core";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A page that the test itself answers has no address, and might not speak to one of this machine.
  "--disable-features=LocalNetworkAccessChecks",
];

/** What happens at all happens within this time, also on a machine that is busy with other things. */
const DEADLINE_MS = 60_000;

/** Things the network does, which a page cannot keep out of the console. */
const EXPECTED = [/Failed to load resource/, /WebSocket connection to .* failed/, /net::ERR_/];

export class Browser {
  #browser;
  #contexts = [];
  /** @type {string[]} */
  #complaints = [];

  static async open() {
    const browser = new Browser();
    const executablePath = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
    browser.#browser = await chromium.launch({ executablePath, args: ARGUMENTS });
    return browser;
  }

  /**
   * @param {string} url
   * @param {{ name?: string } & import("playwright-core").BrowserContextOptions} [options] `name`: they were here before
   */
  async visit(url, { name, ...options } = {}) {
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
    context.setDefaultTimeout(DEADLINE_MS);
    this.#contexts.push(context);
    if (name !== undefined) await context.addInitScript((kept) => localStorage.setItem("roomful:name", kept), name);
    return this.tab(context, url);
  }

  /** Another tab on the same device. @param {import("playwright-core").BrowserContext} context @param {string} url */
  async tab(context, url) {
    const page = await context.newPage();
    page.on("pageerror", (error) => this.#complaints.push(String(error.stack ?? error)));
    page.on("console", (message) => {
      const expected = EXPECTED.some((pattern) => pattern.test(message.text()));
      if (message.type() === "error" && !expected) this.#complaints.push(message.text());
    });
    await page.goto(url);
    return page;
  }

  /** What pages complained about since the last time this was asked. */
  complaints() {
    return this.#complaints.splice(0);
  }

  async leave() {
    await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
  }

  async close() {
    await this.#browser.close();
  }
}

/**
 * The three browser engines, as Debian has them. Each opens windows that people sit at; a window is `goto`, `reload`,
 * `evaluate`, `perform`, `frame` and `close`, and all else is built on those (visitor.js).
 *
 * Debian has drivers for Chromium and WebKitGTK, and none for Firefox, which speaks WebDriver BiDi itself. WebKitGTK is
 * shown on a screen that nobody sees (Xvfb); the others need none.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BidiConnection } from "./bidi.js";
import { Program } from "./program.js";
import { WebDriverWindow } from "./webdriver.js";

/** @typedef {Awaited<ReturnType<BidiConnection["window"]>> | WebDriverWindow} Window */

/** @typedef {{ open(): Promise<Window>, end(): Promise<void> }} Engine */

/** The page speaks the language of its reader. */
const ENGLISH = { LANGUAGE: "en_GB", LC_ALL: "C.UTF-8" };

/** @returns {Promise<Engine>} */
async function chromium() {
  const driver = await Program.start("chromedriver", ["--port=0"], ENGLISH);
  const port = await driver.says(/started successfully on port (\d+)/);
  const args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
  const binary = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
  return {
    open: () => WebDriverWindow.open(`http://127.0.0.1:${port}`, { "goog:chromeOptions": { binary, args } }),
    end: () => driver.end(),
  };
}

/** Firefox asks for nothing from outside. */
const FIREFOX_SETTINGS = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "datareporting.policy.dataSubmissionEnabled": false,
  "intl.accept_languages": "en-GB",
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
};

/** @returns {Promise<Engine>} */
async function firefox() {
  const profile = await mkdtemp(join(tmpdir(), "roomful-firefox-"));
  const settings = Object.entries(FIREFOX_SETTINGS).map((setting) => `user_pref(${JSON.stringify(setting).slice(1, -1)});\n`);
  await writeFile(join(profile, "user.js"), settings.join(""));
  const args = ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port=0", "about:blank"];
  const browser = await Program.start("firefox-esr", args, ENGLISH);
  const connection = await BidiConnection.open(await browser.says(/BiDi listening on (ws:\S+)/));
  return {
    open: () => connection.window(),
    end: async () => {
      connection.close();
      await browser.end();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** @returns {Promise<Engine>} */
async function webkit() {
  const screen = await Program.start("Xvfb", ["-displayfd", "3", "-screen", "0", "1400x1000x24", "-nolisten", "tcp"]);
  const env = { ...ENGLISH, DISPLAY: `:${await screen.says(/^(\d+)$/)}`, GDK_BACKEND: "x11" };
  /** @type {Program[]} */
  const drivers = [];
  return {
    // The driver has one session at a time.
    open: async () => {
      const port = await freePort();
      const driver = await Program.start("WebKitWebDriver", [`--port=${port}`], env);
      drivers.push(driver);
      const address = `http://127.0.0.1:${port}`;
      await answers(`${address}/status`, driver);
      return WebDriverWindow.open(address, {});
    },
    end: async () => {
      await Promise.all([...drivers, screen].map((program) => program.end()));
    },
  };
}

export const ENGINES = { chromium, firefox, webkit };

/** @returns {Promise<number>} a port for a program that cannot say which it took */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** Waits until this address answers. @param {string} url @param {Program} program */
async function answers(url, program) {
  while (!program.ended) {
    const response = await fetch(url).catch(() => null);
    if (response?.ok) return;
    await pause(10);
  }
  throw new Error("WebKitWebDriver ended before it answered");
}

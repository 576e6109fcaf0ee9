import assert from "node:assert/strict";
import { test } from "node:test";
import { live, message, roomUrl, say, sees } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();
/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page @param {boolean} hidden */
const look = (page, hidden) =>
  page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);

/** Remembers what the page would show and play. @param {Page} page */
async function listenIn(page) {
  await page.addInitScript(() => {
    /** @type {any} */ (globalThis).shown = [];
    class Fake extends EventTarget {
      static permission = localStorage.getItem("test:permission") ?? "default";
      static asked = 0;
      static async requestPermission() {
        Fake.asked += 1;
        Fake.permission = "granted";
        localStorage.setItem("test:permission", "granted");
        return "granted";
      }
      constructor(/** @type {string} */ title, /** @type {any} */ options) {
        super();
        /** @type {any} */ (globalThis).shown.push([title, options.body]);
      }
      close() {}
    }
    /** @type {any} */ (globalThis).Notification = Fake;
    const start = OscillatorNode.prototype.start;
    /** @type {any} */ (globalThis).played = 0;
    OscillatorNode.prototype.start = function (...when) {
      /** @type {any} */ (globalThis).played += 1;
      return start.apply(this, when);
    };
  });
  await page.reload();
}
const heard = (/** @type {Page} */ page) => page.evaluate(() => /** @type {any} */ ({ shown: globalThis.shown, played: globalThis.played }));

test("a name is proposed after @, chosen with the keyboard, and marked for the one who is called", async () => {
  const url = roomUrl(world.server.url, "calls");
  const ana = await world.browser.visit(url, { name: "Ana" });
  const lin = await world.browser.visit(url, { name: "林小明" });
  await world.browser.visit(url, { name: "Anton Müller" }).then(live);
  await Promise.all([live(ana), live(lin)]);
  await lin.locator("#people li").nth(2).waitFor();

  await lin.locator("#text").pressSequentially("hi @a");
  const list = lin.getByRole("listbox");
  await list.waitFor();
  assert.deepEqual(await list.getByRole("option").allTextContents(), ["Ana", "Anton Müller"]);
  const marked = () => lin.evaluate(() => document.getElementById(document.activeElement?.getAttribute("aria-activedescendant") ?? "")?.textContent);
  assert.equal(await marked(), "Ana");
  await lin.keyboard.press("ArrowDown");
  assert.equal(await marked(), "Anton Müller");
  await lin.keyboard.press("ArrowDown");
  await lin.keyboard.press("Enter");
  assert.equal(await lin.inputValue("#text"), "hi @Ana ");
  await lin.waitForSelector("#suggestions", { state: "hidden" });
  await lin.locator("#text").pressSequentially("and @ant");
  await list.waitFor();
  await lin.keyboard.press("Escape");
  assert.equal(await lin.inputValue("#text"), "hi @Ana and @ant");
  await lin.locator("#text").pressSequentially("o");
  await list.getByRole("option", { name: "Anton Müller" }).click();
  await lin.keyboard.press("Enter");

  await sees(ana, ["hi @Ana and @Anton Müller"]);
  assert.deepEqual(await ana.locator(".mention").allTextContents(), ["@Ana", "@Anton Müller"]);
  assert.deepEqual(await ana.locator(".mention.mine").allTextContents(), ["@Ana"]);
  assert.equal(await ana.locator(".entry.calls").count(), 1);
  assert.equal(await lin.locator(".entry.calls, .mention.mine").count(), 0);
});

test("an input method keeps its keys while names are proposed", async () => {
  const url = roomUrl(world.server.url, "calls-ime");
  await world.browser.visit(url, { name: "你好" }).then(live);
  const page = await world.browser.visit(url, { name: "Ana" });
  await live(page);
  await page.locator("#people li").nth(1).waitFor();
  await page.locator("#text").pressSequentially("@");
  await page.getByRole("option", { name: "你好" }).waitFor();
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Input.imeSetComposition", { text: "ni", selectionStart: 2, selectionEnd: 2 });
  await cdp.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 229 });
  assert.equal(await page.inputValue("#text"), "@ni");
  assert.equal(await page.locator("#messages > li").count(), 0);
});

test("a notification is shown to who asked for it, is called, and looks elsewhere; a sound to who wants one", async () => {
  const url = roomUrl(world.server.url, "told");
  const ana = await world.browser.visit(url, { name: "Ana" });
  await listenIn(ana);
  const ben = await world.browser.visit(url, { name: "Ben" });
  await Promise.all([live(ana), live(ben)]);
  await ana.locator("#people li").nth(1).waitFor();
  await say(ana, "mine");
  await look(ana, true);
  await say(ben, "@Ana before you asked");
  await message(ana, "before you asked").waitFor();
  await ana.getByRole("log").getByText("before you asked").waitFor();
  assert.deepEqual(await heard(ana), { shown: [], played: 0 });

  await look(ana, false);
  await ana.click("#settings");
  await ana.getByLabel("Notify me when somebody calls or answers me").check();
  await ana.getByLabel("A sound when I look elsewhere").check();
  // It lets one hear what it is like.
  await ana.waitForFunction(() => /** @type {any} */ (globalThis).played === 1);
  await ana.getByRole("button", { name: "Close" }).click();
  await say(ben, "@Ana you are here");
  await ana.getByRole("log").getByText("you are here").waitFor();
  assert.deepEqual((await heard(ana)).shown, []);

  await look(ana, true);
  await say(ben, "nothing for you");
  await say(ben, "**@ana**, come back");
  await message(ben, "mine").hover();
  await message(ben, "mine").locator(".more").click();
  await ben.getByRole("menuitem", { name: "Reply" }).click();
  await say(ben, "indeed");
  await ana.waitForFunction(() => /** @type {any} */ (globalThis).shown.length >= 2);
  assert.deepEqual((await heard(ana)).shown, [["Ben · #told", "@ana, come back"], ["Ben · #told", "indeed"]]);
  assert.match(await ana.title(), /^\(3\) /);

  await ana.reload();
  await live(ana);
  await ana.click("#settings");
  assert.equal(await ana.getByLabel("Notify me when somebody calls or answers me").isChecked(), true);
});

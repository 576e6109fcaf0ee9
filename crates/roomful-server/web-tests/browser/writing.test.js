import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { live, message, roomUrl, say, sees } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

test("Enter picks a word of the input method first, and only then sends", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "拼音"), { name: "林" });
  await live(page);
  const cdp = await page.context().newCDPSession(page);
  await page.focus("#text");

  await cdp.send("Input.imeSetComposition", { text: "nihao", selectionStart: 5, selectionEnd: 5 });
  await cdp.send("Input.dispatchKeyEvent", { type: "rawKeyDown", key: "Enter", code: "Enter", windowsVirtualKeyCode: 229 });
  assert.equal(await page.locator("#messages > li").count(), 0);
  await cdp.send("Input.insertText", { text: "你好" });
  // Safari ends the composition first; then the key says 229 and nothing else tells.
  await page.evaluate(() => {
    const event = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true });
    Object.defineProperty(event, "keyCode", { value: 229 });
    document.querySelector("#text")?.dispatchEvent(event);
  });
  assert.equal(await page.locator("#messages > li").count(), 0);

  await page.keyboard.press("Enter");
  await sees(page, ["你好"]);
});

test("only one place decides what Enter means", async () => {
  const web = new URL("../../web/", import.meta.url);
  const files = (await readdir(web, { recursive: true })).filter((file) => file.endsWith(".js"));
  const deciding = [];
  for (const file of files) if ((await readFile(new URL(file, web), "utf8")).includes('"Enter"')) deciding.push(file);
  assert.deepEqual(deciding, ["keys.js"]);
});

test("Shift and Enter make a new line, and the field grows with it", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "lines"), { name: "Ana" });
  await live(page);
  const height = () => page.locator("#text").evaluate((field) => field.clientHeight);
  const one = await height();
  await page.keyboard.press("Tab");
  await page.focus("#text");
  await page.keyboard.type("first");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("second");
  assert.ok((await height()) > one);

  await page.keyboard.press("Enter");
  await sees(page, ["first\nsecond"]);
  assert.equal(await height(), one);
});

test("an arrow up in the empty field edits the last message, Escape leaves it", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "arrow"), { name: "Ana" });
  await live(page);
  await say(page, "teh end");
  await page.press("#text", "ArrowUp");
  assert.equal(await page.inputValue("#text"), "teh end");
  await page.press("#text", "Escape");
  assert.equal(await page.inputValue("#text"), "");

  await page.press("#text", "ArrowUp");
  await page.fill("#text", "the end");
  await page.press("#text", "Enter");
  await sees(page, ["the end"]);
});

test("a message that is refused stays, with its reason, to be tried again or removed", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "refused", "?transport=longpoll"), { name: "Ana" });
  await live(page);
  const refusal = { status: 413, json: { error: { code: "message_too_large", message: "too large" } } };
  await page.route("**/messages", (route) => (route.request().method() === "POST" ? route.fulfill(refusal) : route.fallback()));
  await page.fill("#text", "hm");
  await page.press("#text", "Enter");
  await page.getByText("Not sent: the message is too long").first().waitFor();

  await page.unroute("**/messages");
  await page.getByRole("button", { name: "Retry" }).click();
  await sees(page, ["hm"]);
  await page.waitForSelector(".failed, .pending", { state: "detached" });
});

test("messages can be reached and answered with the keyboard alone", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "keys"), { name: "Ana" });
  await live(page);
  await say(page, "one");
  await say(page, "two");

  await page.focus("#text");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.evaluate(() => document.activeElement?.querySelector(".text")?.textContent), "one");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("menu").waitFor();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Escape");
  assert.match((await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))) ?? "", /^More: Ana/);

  await page.keyboard.press("Enter");
  await page.getByRole("menuitem", { name: "Reply" }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.type("three");
  await page.keyboard.press("Enter");
  await message(page, "three").locator(".quote", { hasText: "one" }).waitFor();
});

test("a screen reader is told what others say, and not what one says oneself", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "read"), { name: "Ana" });
  await live(page);
  await say(page, "my own");
  const event = await world.server.post("read", "from outside");
  await page.getByRole("log").getByText(`${event.from.name}: from outside`).waitFor();
  assert.equal(await page.getByRole("log").getByText("my own").count(), 0);
});

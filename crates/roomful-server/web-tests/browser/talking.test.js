import assert from "node:assert/strict";
import { test } from "node:test";
import { choose, live, message, roomUrl, say, sees, texts, write } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

test("two people see what the other says, Chinese and emoji included", async () => {
  const url = roomUrl(world.server.url, "大厅");
  const ana = await world.browser.visit(url, { name: "Ana" });
  const lin = await world.browser.visit(url, { name: "林小明", locale: "zh-CN" });
  await Promise.all([live(ana), live(lin)]);

  await say(ana, "Hello there");
  await say(lin, "你好，世界 🎉👩‍👩‍👧");
  await say(ana, "שלום");

  const all = ["Hello there", "你好，世界 🎉👩‍👩‍👧", "שלום"];
  await sees(ana, all);
  await sees(lin, all);
  assert.equal(await lin.locator("#messages .name").first().textContent(), "Ana");
  assert.equal(await lin.getAttribute("html", "lang"), "zh-CN");
  await ana.waitForFunction(() => document.getElementById("people")?.children.length === 2);
});

test("a newcomer reads at once, and is asked for a name beside the composer", async () => {
  await world.server.post("welcome", "before you came");
  const page = await world.browser.visit(roomUrl(world.server.url, "welcome"));
  await sees(page, ["before you came"]);
  const name = page.getByRole("textbox", { name: "Your name" });
  assert.match(await name.inputValue(), /^\w+ \w+$/);

  await name.fill("Zoë");
  await say(page, "it is me");

  await page.waitForSelector("#naming", { state: "hidden" });
  const [, event] = await world.server.log("welcome");
  assert.equal(event.from.name, "Zoë");
  await page.reload();
  await live(page);
  assert.equal(await page.isVisible("#naming"), false);
  assert.equal(await message(page, "it is me").evaluate((li) => li.classList.contains("own")), true);
});

test("markup and scripts are shown as the text they are", async () => {
  const attempts = [
    "<script>window.broken = 1</script>",
    '<img src=x onerror="window.broken = 1">',
    "<b>bold</b> &lt; &amp;",
    "javascript:window.broken=1",
    '"><svg/onload=window.broken=1>',
    "https://ok.example/?q=\"onmouseover=window.broken=1",
  ];
  const page = await world.browser.visit(roomUrl(world.server.url, "markup"), { name: "<i>Eve</i>" });
  await live(page);
  for (const attempt of attempts) await say(page, attempt);

  await sees(page, attempts);
  assert.equal(await page.evaluate(() => "broken" in window), false);
  assert.equal(await page.locator("#messages :is(script, img, b, i, svg:not(.icon))").count(), 0);
  assert.deepEqual(await page.$$eval("#messages .text a", (links) => links.map((link) => link.getAttribute("href"))), [
    "https://ok.example/?q=",
  ]);
});

test("one edits, deletes, answers and reacts, and the other sees it", async () => {
  const url = roomUrl(world.server.url, "changes");
  const ana = await world.browser.visit(url, { name: "Ana" });
  const ben = await world.browser.visit(url, { name: "Ben" });
  await Promise.all([live(ana), live(ben)]);
  await say(ana, "first draft");
  await say(ana, "to be removed");
  await sees(ben, ["first draft", "to be removed"]);

  await choose(ana, "first draft", "Edit");
  await write(ana, "final text");
  await choose(ana, "to be removed", "Delete");
  await ana.getByRole("menuitem", { name: "Delete" }).click();
  await sees(ben, ["final text", "This message was deleted."]);

  await choose(ben, "final text", "React with 🎉");
  await ana.getByRole("button", { name: "🎉: 1", exact: true }).waitFor();
  await ana.getByRole("button", { name: "🎉: 1", exact: true }).click();
  await ben.getByRole("button", { name: "🎉: 2, you too" }).click();
  await ana.getByRole("button", { name: "🎉: 1, you too" }).waitFor();

  await choose(ben, "final text", "Reply");
  await write(ben, "agreed");
  await message(ana, "agreed").locator(".quote", { hasText: "final text" }).waitFor();
  assert.equal(await message(ana, "final text").locator(".note", { hasText: "edited" }).count(), 1);
});

test("the page says who is typing, and under which new name", async () => {
  const url = roomUrl(world.server.url, "typing");
  const ana = await world.browser.visit(url, { name: "Ana" });
  const ben = await world.browser.visit(url, { name: "Ben" });
  await Promise.all([live(ana), live(ben)]);

  await ana.locator("#text").pressSequentially("hm");
  await ben.waitForFunction(() => /Ana.* is typing/.test(document.getElementById("typing")?.textContent ?? ""));
  await say(ana, "hm");
  await ben.waitForFunction(() => document.getElementById("typing")?.textContent === "");

  await ana.locator("#people-aside").getByRole("button", { name: "Change name" }).click();
  await ana.fill("#new-name", "Anastasia");
  await ana.press("#new-name", "Enter");
  await ben.locator("#people").getByText("Anastasia").waitFor();
});

test("scrolling back through 600 messages keeps the place and the page small", async () => {
  for (let i = 1; i <= 600; i += 1) await world.server.post("long", `message ${i}`);
  const page = await world.browser.visit(roomUrl(world.server.url, "long"), { name: "Ana" });
  await live(page);
  await page.waitForFunction(() => document.querySelector("#messages > li:last-child .text")?.textContent === "message 600");

  for (let first = 551; first > 1; ) {
    const before = await page.evaluate(() => {
      const scroller = /** @type {HTMLElement} */ (document.getElementById("scroller"));
      scroller.scrollTop = 0;
      const seq = document.querySelector("#messages > li")?.getAttribute("data-seq");
      return { seq: Number(seq), top: document.querySelector("#messages > li article")?.getBoundingClientRect().top ?? 0 };
    });
    first = before.seq;
    if (first === 1) break;
    await page.waitForFunction((seq) => Number(document.querySelector("#messages > li")?.getAttribute("data-seq")) < seq, first);
    const after = await page.evaluate(
      (seq) => document.querySelector(`#messages > li[data-seq="${seq}"] article`)?.getBoundingClientRect().top ?? 0,
      first,
    );
    assert.ok(Math.abs(after - before.top) < 60, `message ${first} moved from ${before.top} to ${after}`);
    assert.ok((await page.locator("#messages > li").count()) <= 450);
  }

  await page.getByText("This is where #long begins.").waitFor();
  await world.server.post("long", "message 601");
  await page.getByRole("button", { name: "1 new message" }).click();
  await page.waitForFunction(() => {
    const scroller = /** @type {HTMLElement} */ (document.getElementById("scroller"));
    const last = document.querySelector("#messages > li:last-child .text")?.textContent;
    return last === "message 601" && scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 2;
  });
  assert.ok((await texts(page)).length >= 50);
});

test("what arrives while nobody looks is counted in the title and marked in the list", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "away"), { name: "Ana" });
  await live(page);
  await say(page, "bye for now");
  const look = (/** @type {boolean} */ hidden) =>
    page.evaluate((value) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);

  await look(true);
  await world.server.post("away", "one");
  await world.server.post("away", "two");
  await page.waitForFunction(() => document.title.startsWith("(2) #away"));
  assert.equal(await message(page, "one").locator(".line").textContent(), "New messages");
  assert.equal(await page.locator(".line").count(), 1);

  await look(false);
  assert.equal(await page.title(), "#away · Roomful");
  assert.equal(await page.locator(".line").count(), 1);
});

test("a draft waits for its writer", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "draft"), { name: "Ana" });
  await live(page);
  await page.fill("#text", "half a tho");
  await page.reload();
  await live(page);
  assert.equal(await page.inputValue("#text"), "half a tho");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { live, message, roomUrl } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();
const COUNT = 2_000;

/** In order, where the order of the texts counts. @param {string} room @param {number} from @param {number} to */
async function post(room, from, to) {
  for (let at = from; at <= to; at += 1) await world.server.post(room, `message ${at}`);
}

/** @param {import("playwright-core").Page} page which messages are drawn */
const drawn = (page) =>
  page.$$eval("#messages > li", (items) => {
    const seqs = items.map((item) => Number(item.getAttribute("data-seq")));
    return { count: seqs.length, first: Math.min(...seqs), last: Math.max(...seqs) };
  });

/** @param {import("playwright-core").Page} page */
const isAtEnd = (page) =>
  page.waitForFunction(() => {
    const { scrollHeight, scrollTop, clientHeight } = /** @type {HTMLElement} */ (document.getElementById("scroller"));
    return scrollHeight - scrollTop - clientHeight < 2;
  });

/** @param {import("playwright-core").Page} page @param {boolean} hidden */
const look = (page, hidden) =>
  page.evaluate((value) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);

test("scrolling back through 2,000 messages and down again keeps the place, and at most 400 in the page", async () => {
  for (let sent = 0; sent < COUNT; sent += 50) {
    await Promise.all(Array.from({ length: 50 }, () => world.server.post("long", "one of many")));
  }
  const page = await world.browser.visit(roomUrl(world.server.url, "long"), { name: "Ana" });
  await live(page);
  await page.waitForSelector(`li[data-seq="${COUNT}"]`);

  for (let { first } = await drawn(page); first > 1; ({ first } = await drawn(page))) {
    const before = await page.evaluate((seq) => {
      const scroller = /** @type {HTMLElement} */ (document.getElementById("scroller"));
      scroller.scrollTop = 0;
      return document.querySelector(`li[data-seq="${seq}"] article`)?.getBoundingClientRect().top ?? NaN;
    }, first);
    await page.waitForFunction((seq) => document.querySelector("#messages > li")?.getAttribute("data-seq") !== String(seq), first);
    const top = await page.evaluate((seq) => document.querySelector(`li[data-seq="${seq}"] article`)?.getBoundingClientRect().top ?? NaN, first);
    // A head and an avatar above it may come or go with its new neighbour.
    assert.ok(Math.abs(top - before) < 60, `message ${first} moved from ${before} to ${top}`);
    const { count } = await drawn(page);
    assert.ok(count <= 400, `${count} messages are drawn`);
  }
  await page.getByText("This is where #long begins.").waitFor();

  for (let { last } = await drawn(page); last < COUNT; ({ last } = await drawn(page))) {
    const before = await page.evaluate((seq) => {
      const item = /** @type {HTMLElement} */ (document.querySelector(`li[data-seq="${seq}"]`));
      item.scrollIntoView({ block: "end" });
      return item.getBoundingClientRect().bottom;
    }, last);
    await page.waitForFunction((seq) => document.querySelector("#messages > li:last-child")?.getAttribute("data-seq") !== String(seq), last);
    const bottom = await page.evaluate((seq) => document.querySelector(`li[data-seq="${seq}"]`)?.getBoundingClientRect().bottom ?? NaN, last);
    assert.ok(Math.abs(bottom - before) < 60, `message ${last} moved from ${before} to ${bottom}`);
    const { count } = await drawn(page);
    assert.ok(count <= 400, `${count} messages are drawn`);
  }
});

test("a link to a message far up shows it, and the way back to the end is one press", async () => {
  const page = await world.browser.visit(`${roomUrl(world.server.url, "long")}#m42`, { name: "Ana" });
  await page.waitForSelector('li[data-seq="42"].shown');
  const box = await page.locator('li[data-seq="42"]').boundingBox();
  assert.ok(box && box.y > 60 && box.y < 740, JSON.stringify(box));
  assert.equal(await page.evaluate(() => document.activeElement?.closest("li")?.getAttribute("data-seq")), "42");
  assert.ok((await drawn(page)).count <= 400);

  await page.getByRole("button", { name: "To the newest" }).click();
  await page.waitForSelector(`li[data-seq="${COUNT}"]`);
  await isAtEnd(page);
  await page.evaluate(() => (location.hash = "#m99999"));
  await page.getByText("That message is not here any more.").waitFor();
});

test("who reads further up stays there, and is told how many came", async () => {
  await post("up", 1, 80);
  const page = await world.browser.visit(roomUrl(world.server.url, "up"), { name: "Ana" });
  await live(page);
  await isAtEnd(page);
  const top = () => page.evaluate(() => document.querySelector('li[data-seq="60"]')?.getBoundingClientRect().top);
  await page.evaluate(() => document.querySelector('li[data-seq="60"]')?.scrollIntoView());
  await page.getByRole("button", { name: "To the newest" }).waitFor();
  const before = await top();
  await post("up", 81, 83);
  await page.getByRole("button", { name: "3 new messages" }).waitFor();
  assert.equal(await top(), before);
  assert.equal(await message(page, "message 81").locator(".line").textContent(), "New messages");

  await page.getByRole("button", { name: "3 new messages" }).click();
  await isAtEnd(page);
  await page.waitForSelector("#jump", { state: "hidden" });
});

test("on the next visit a line says where reading stopped", async () => {
  const url = roomUrl(world.server.url, "visits");
  await post("visits", 1, 2);
  const page = await world.browser.visit(url, { name: "Ana" });
  await live(page);
  await look(page, true);
  await page.goto(world.server.url);
  await post("visits", 3, 4);
  await page.goto(url);
  await live(page);
  assert.equal(await message(page, "message 3").locator(".line").textContent(), "New messages");
  assert.equal(await page.locator(".line").count(), 1);
});

test("every time says its full date, and each day has a heading", async () => {
  const page = await world.browser.visit(world.server.url, { name: "Ana", timezoneId: "Europe/Lisbon" });
  await world.server.post("days", "old");
  await world.server.post("days", "new");
  await page.route("**/messages?*", async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    for (const message of body.messages) if (message.text === "old") message.at = "2024-02-29T12:34:56Z";
    await route.fulfill({ response, json: body });
  });
  await page.goto(roomUrl(world.server.url, "days"));
  await message(page, "old").waitFor();
  assert.match((await message(page, "old").locator(".time").getAttribute("title")) ?? "", /^Thursday,? 29 February 2024 at 12:34:56$/);
  const [day, today] = await page.locator("h2.day").allTextContents();
  assert.match(day, /^Thursday,? 29 February 2024$/);
  assert.equal(today, "Today");
});

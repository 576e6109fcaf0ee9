import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { LOOKS, violations } from "../support/axe.js";
import { live, roomUrl, say } from "../support/room.js";
import { Server } from "../support/server.js";
import { suite } from "../support/suite.js";

const TOKEN = "a token that is long enough";
const world = suite();
/** @type {Server} */
let guarded;
before(async () => (guarded = await Server.start({ STATUS__ACCESS: "token", STATUS__TOKEN: TOKEN })));
after(() => guarded.end());

/** @param {import("playwright-core").Page} page @param {string} name the card's heading */
const card = (page, name) => page.locator(".card").filter({ has: page.getByRole("heading", { name }) });

/** @param {import("playwright-core").Page} page @param {string} name */
const line = (page, name) => card(page, name).locator(".line").getAttribute("d");

test("the charts move when people talk, and come to rest when they stop", async () => {
  const page = await world.browser.visit(`${world.server.url}/status/`);
  await page.locator("#state[data-phase=live]").waitFor();
  await card(page, "Messages per second").locator(".now", { hasText: /^0$/ }).waitFor();
  const flat = await line(page, "Messages per second");
  assert.match(flat, /^M[\d.]+ 79/);

  const ana = await world.browser.visit(roomUrl(world.server.url, "busy"), { name: "Ana" });
  await live(ana);
  await say(ana, "does it move?");

  await page.waitForFunction(() => {
    const now = [...document.querySelectorAll(".card")].map((one) => one.querySelector(".line")?.getAttribute("d") ?? "");
    // Messages, deliveries and the time to store: each has left the ground.
    return now.slice(1, 4).every((path) => [...path.matchAll(/[\d.]+ ([\d.]+)/g)].some(([, y]) => Number(y) < 78.9));
  });
  await card(page, "Connections").locator(".now", { hasText: /^1$/ }).waitFor();
  await card(page, "People").locator(".now", { hasText: /^1$/ }).waitFor();
  await card(page, "People").getByText("in 1 room", { exact: true }).waitFor();
  await card(page, "Messages per second").locator(".now", { hasText: /^0$/ }).waitFor();
  assert.match(await card(page, "Memory").locator(".now").textContent(), /^[\d,]+ MiB$/);
  const picture = page.getByRole("img", { name: /^Connections: now 1, at most 1 in the last 2 minutes$/ });
  await picture.waitFor();
});

test("what the charts show is there as a table, and stands still while it is paused", async () => {
  const page = await world.browser.visit("about:blank");
  const opened = page.waitForEvent("websocket");
  await page.goto(`${world.server.url}/status/`);
  const socket = await opened;
  await page.locator("summary", { hasText: "The last minute as a table" }).click();
  await page.locator("#numbers-body tr").nth(1).waitFor();
  const columns = await page.locator("#numbers-head th").allTextContents();
  assert.deepEqual(columns, ["Time", "Connections", "Messages per second", "Deliveries per second", "Time to store", "Memory", "People"]);

  await page.getByRole("button", { name: "Pause" }).click();
  await page.locator("#state[data-phase=paused]").waitFor();
  const rows = await page.locator("#numbers-body tr").count();
  for (let heard = 0; heard < 2; heard += 1) await socket.waitForEvent("framereceived");
  assert.equal(await page.locator("#numbers-body tr").count(), rows);
  await page.getByRole("button", { name: "Go on" }).click();
  await page.locator("#numbers-body tr").nth(rows).waitFor();
});

test("after the server was away the page goes on by itself", async () => {
  const server = await Server.start();
  const page = await world.browser.visit(`${server.url}/status/`);
  await page.locator("#state[data-phase=live]").waitFor();
  await server.stop("SIGKILL");
  await page.locator("#state[data-phase=offline]").waitFor();
  await server.start();
  await page.locator("#state[data-phase=live]").waitFor();
  await server.end();
});

test("where a token is asked for, a wrong one is refused and the right one is forgotten with the page", async () => {
  const page = await world.browser.visit(`${guarded.url}/status/`);
  const field = page.getByLabel("Token");
  await field.fill("something else entirely");
  await field.press("Enter");
  await page.getByRole("alert").getByText("This is not the token.").waitFor();
  assert.equal(await page.locator("#charts").isVisible(), false);
  await field.fill(TOKEN);
  await page.keyboard.press("Enter");

  await card(page, "Connections").locator(".line[d^=M]").waitFor({ state: "attached" });
  assert.equal(await field.isVisible(), false);
  assert.equal(page.url(), `${guarded.url}/status/`);
  assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage })), "{}");
  await page.reload();
  await field.waitFor();
});

for (const { name, options } of LOOKS) {
  test(`the status page has no accessibility violation: ${name}`, async () => {
    const asked = await world.browser.visit(`${guarded.url}/status/`, options);
    await asked.locator("#ask").waitFor();
    await asked.locator("#token").fill("wrong");
    await asked.keyboard.press("Enter");
    await asked.locator("#token-wrong:not(:empty)").waitFor();
    assert.deepEqual(await violations(asked), []);

    const page = await world.browser.visit(`${world.server.url}/status/`, options);
    await page.locator(".line[d^=M]").first().waitFor({ state: "attached" });
    await page.locator("#numbers summary").click();
    await page.locator("#numbers-body tr").first().waitFor();
    assert.deepEqual(await violations(page), []);
  });
}

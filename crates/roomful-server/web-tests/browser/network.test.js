import assert from "node:assert/strict";
import { test } from "node:test";
import { live, roomUrl, say, sees, texts, write } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

test("what is said while the server is dead is sent once it is back, once, in order", async () => {
  const url = roomUrl(world.server.url, "killed");
  const ana = await world.browser.visit(url, { name: "Ana" });
  const ben = await world.browser.visit(url, { name: "Ben" });
  await Promise.all([live(ana), live(ben)]);
  await say(ana, "before");
  await sees(ben, ["before"]);

  await world.server.stop("SIGKILL");
  await ana.waitForSelector("#state[data-phase=offline]");
  await write(ana, "meanwhile 1");
  await write(ana, "meanwhile 2");
  await ana.locator(".pending").getByText("Will be sent when you are back").first().waitFor();
  await world.server.start();
  await ana.getByRole("button", { name: "Retry now" }).click({ timeout: 5_000 }).catch(() => {});

  await sees(ana, ["before", "meanwhile 1", "meanwhile 2"]);
  await ana.waitForSelector(".pending", { state: "detached" });
  await sees(ben, ["before", "meanwhile 1", "meanwhile 2"]);
  assert.deepEqual((await world.server.log("killed")).map(({ text }) => text), ["before", "meanwhile 1", "meanwhile 2"]);
});

test("what waits survives a reload, and a second tab does not say it twice", async () => {
  const url = roomUrl(world.server.url, "reloaded");
  const ana = await world.browser.visit(url, { name: "Ana" });
  await live(ana);
  await say(ana, "here");
  // The page itself stays reachable, what it says does not get out.
  await ana.context().route("**/api/**", (route) => route.abort());
  await ana.context().routeWebSocket(/\/room\//, (socket) => socket.close());
  await ana.reload();
  await write(ana, "kept");
  await ana.reload();
  await ana.waitForSelector(".pending");

  await ana.context().unrouteAll();
  const again = await world.browser.tab(ana.context(), `${url}?transport=longpoll`);
  await sees(again, ["here", "kept"]);
  await sees(ana, ["here", "kept"]);
  await again.waitForFunction(() => document.querySelector(".pending") === null);
  assert.deepEqual((await world.server.log("reloaded")).map(({ text }) => text), ["here", "kept"]);
});

test("where WebSockets are blocked the page turns to long polling, and says so", async () => {
  const url = roomUrl(world.server.url, "proxy");
  const ana = await world.browser.visit(url, { name: "Ana" });
  await ana.context().routeWebSocket(/\/room\//, (socket) => socket.close({ code: 1006 }));
  await ana.evaluate(() => localStorage.clear());
  await ana.reload();

  await ana.locator("#state-words", { hasText: "Live by long poll" }).waitFor();
  await say(ana, "through the proxy");
  await world.server.post("proxy", "and back");
  await sees(ana, ["through the proxy", "and back"]);
  await ana.reload();
  await ana.locator("#state-words", { hasText: "Live by long poll" }).waitFor();
});

test("a page that was away for longer than it can be told catches up with the newest page and says what is missing", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "asleep"), { name: "Ana" });
  await live(page);
  await say(page, "good night");
  await page.context().setOffline(true);
  await page.waitForSelector("#state[data-phase=offline]");
  for (let i = 1; i <= 520; i += 1) await world.server.post("asleep", `dream ${i}`);
  await page.context().setOffline(false);

  await page.getByText("520 earlier messages. Scroll up to read them.").waitFor();
  await page.waitForFunction(() => document.querySelector("#messages > li:last-child .text")?.textContent === "dream 520");
  await say(page, "good morning");
  assert.equal((await texts(page)).at(-1), "good morning");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { live, roomUrl } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

test("the lobby opens a room by name, kindly mends a bad one, and remembers it", async () => {
  const page = await world.browser.visit(`${world.server.url}/`, { name: "Ana" });
  await page.fill("#room", "my room!");
  await page.press("#room", "Enter");
  await page.getByText("How about “my-room”?").waitFor();
  await page.fill("#room", "读书会 2");
  await page.press("#room", "Enter");
  await page.getByText("How about “读书会-2”?").waitFor();
  await page.fill("#room", "#读书会-2");
  await page.press("#room", "Enter");

  await page.waitForURL(`**/room/${encodeURIComponent("读书会-2")}/`);
  await live(page);
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "#读书会-2");
  await page.getByRole("link", { name: "All rooms" }).click();
  await page.locator("#recent").getByRole("link", { name: "#读书会-2" }).waitFor();
});

test("the lobby lists rooms with how many people are there", async () => {
  const inside = await world.browser.visit(roomUrl(world.server.url, "busy"), { name: "Ana" });
  await live(inside);
  await world.server.post("busy", "something was said");
  await world.server.post("empty", "nobody stayed");

  const page = await world.browser.visit(`${world.server.url}/`);
  await page.getByRole("link", { name: /^#busy 1 person/ }).waitFor();
  await page.getByRole("link", { name: /^#empty nobody here now/ }).waitFor();
});

test("a random room is a room", async () => {
  const page = await world.browser.visit(`${world.server.url}/?lang=zh`);
  await page.getByRole("button", { name: "随便来一个" }).click();
  await page.waitForURL("**/room/*/");
  await live(page);
});

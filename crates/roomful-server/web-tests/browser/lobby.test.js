import assert from "node:assert/strict";
import { test } from "node:test";
import { LOOKS, violations } from "../support/axe.js";
import { scan } from "../support/scan.js";
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

test("the lobby follows what happens in the rooms", async () => {
  const page = await world.browser.visit(`${world.server.url}/`);
  await page.clock.install();
  await world.server.post("fresh", "just said");
  await page.clock.runFor(10_000);
  await page.getByRole("link", { name: /^#fresh nobody here now/ }).waitFor();
});

test("a room is shared as a link and as a code that a phone can read", async () => {
  await world.server.post("读书会", "come in");
  const page = await world.browser.visit(`${world.server.url}/`, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.getByRole("button", { name: "Invite people to #读书会" }).click();
  const dialog = page.getByRole("dialog", { name: "Invite people to #读书会" });
  const link = roomUrl(world.server.url, "读书会");
  assert.equal(await dialog.getByLabel("Link to the room").inputValue(), link);
  assert.equal(await scan(dialog.getByRole("img", { name: "QR code with the link to #读书会" })), link);

  await dialog.getByRole("button", { name: "Copy link" }).click();
  await dialog.getByText("Link copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  const focused = await page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
  assert.equal(focused, "Invite people to #读书会");
});

test("where there is no clipboard the link is selected, to be copied by hand", async () => {
  await world.server.post("by-hand", "come in");
  const page = await world.browser.visit(`${world.server.url}/`);
  await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await page.getByRole("button", { name: "Invite people to #by-hand" }).click();
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText("copy it from there").waitFor();
  assert.equal(await page.evaluate(() => getSelection()?.toString()), roomUrl(world.server.url, "by-hand"));
});

test("the code is dark on light for readers, in the dark too, and the room has it as well", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "dark"), { name: "Ana", colorScheme: "dark" });
  await live(page);
  await page.getByRole("button", { name: "Invite people" }).click();
  assert.equal(await scan(page.getByRole("img", { name: /QR code/ })), roomUrl(world.server.url, "dark"));
});

for (const { name, options } of LOOKS) {
  test(`the lobby and its dialog have no accessibility violation: ${name}`, async () => {
    await world.server.post("lobby", "there is a room");
    const page = await world.browser.visit(roomUrl(world.server.url, "been-here"), { name: "Ana", ...options });
    await live(page);
    await page.goto(`${world.server.url}/`);
    await page.locator("#rooms li").first().waitFor();
    await page.locator("#recent-list li").first().waitFor();
    assert.deepEqual(await violations(page), []);
    await page.locator("#room").fill("a/b");
    await page.keyboard.press("Enter");
    await page.locator(".note.wrong").waitFor();
    assert.deepEqual(await violations(page), []);
    await page.locator("#rooms button").first().click();
    await page.getByRole("dialog").waitFor();
    assert.deepEqual(await violations(page), []);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { live, roomUrl, sees, write } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

test("/me says what one does, /nick changes the name, /topic the topic, /help tells", async () => {
  const url = roomUrl(world.server.url, "commands");
  const ana = await world.browser.visit(url, { name: "Ana" });
  const ben = await world.browser.visit(url, { name: "Ben" });
  await Promise.all([live(ana), live(ben)]);

  await write(ana, "/me waves **both** hands");
  await sees(ben, ["Ana waves both hands"]);
  assert.equal(await ben.locator(".action b").textContent(), "both");
  await write(ana, "/nick  Anastasia  B ");
  await ben.locator("#people").getByText("Anastasia B").waitFor();
  assert.equal(await ana.inputValue("#text"), "");
  await write(ana, "/topic what we do here");
  await ben.getByRole("button", { name: "Topic: what we do here" }).waitFor();
  await write(ana, "/help");
  await ana.getByRole("dialog", { name: "What you can write" }).getByText("say what you do").waitFor();
  await ana.keyboard.press("Escape");
  await ana.waitForSelector("#help", { state: "detached" });
  assert.equal(await ana.evaluate(() => document.activeElement?.id), "text");
});

test("two slashes say it as it is, and a path is no command", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "slashes"), { name: "Ana" });
  await live(page);
  for (const text of ["//me is a command", "//nick too", "/usr/bin/env is a path"]) await write(page, text);
  await sees(page, ["/me is a command", "/nick too", "/usr/bin/env is a path"]);
  assert.equal(await page.locator(".action").count(), 0);
});

test("a command that there is not is said to be none, and what was written stays", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "unknown"), { name: "Ana" });
  await live(page);
  for (const [text, hint] of [["/dance now", "There is no command /dance."], ["/constructor x", "There is no command /constructor."], ["/me", "Say what you do"], ["/nick ", "Say which name"]]) {
    await write(page, text);
    await page.getByRole("status").getByText(hint).waitFor();
    assert.equal(await page.inputValue("#text"), text);
    await page.fill("#text", "");
    await page.waitForFunction(() => document.getElementById("hint")?.textContent === "");
  }
  assert.equal(await page.locator("#messages > li").count(), 0);
});

test("commands are proposed after a slash, and what is written out is sent by Enter", async () => {
  const page = await world.browser.visit(roomUrl(world.server.url, "proposed"), { name: "Ana" });
  await live(page);
  await page.locator("#text").pressSequentially("/");
  await page.getByRole("listbox").waitFor();
  assert.equal(await page.getByRole("option").count(), 4);
  await page.locator("#text").pressSequentially("n");
  await page.waitForFunction(() => document.querySelectorAll("[role=option]").length === 1);
  await page.keyboard.press("Tab");
  assert.equal(await page.inputValue("#text"), "/nick ");
  await page.fill("#text", "/help");
  await page.locator("#text").dispatchEvent("input");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#help");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { live, roomUrl, say } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

/** @param {import("playwright-core").Page} page @param {string} topic by keyboard alone */
async function setTopic(page, topic) {
  await page.focus("#topic");
  await page.keyboard.press("Enter");
  await page.locator("#topic-dialog[open]").waitFor();
  await page.keyboard.press("ControlOrMeta+a");
  if (topic === "") await page.keyboard.press("Delete");
  else await page.keyboard.insertText(topic);
  await page.keyboard.press("Enter");
}

for (const [one, other] of [["websocket", "longpoll"], ["poll", "sse"]]) {
  test(`the topic is set by one, seen by the other, and known to whoever comes later: ${one} and ${other}`, async () => {
    const room = `topic-${one}`;
    const url = (/** @type {string} */ kind) => roomUrl(world.server.url, room, `?transport=${kind}`);
    const ana = await world.browser.visit(url(one), { name: "Ana" });
    const lin = await world.browser.visit(url(other), { name: "林", locale: "zh-CN" });
    await Promise.all([live(ana), live(lin)]);
    // Without a WebSocket, the room knows somebody once they have spoken.
    await say(ana, "hi");
    await say(lin, "嗨");

    const long = `<b>The book</b> of the month 📚 ${"and every chapter of it ".repeat(6)}`.trim();
    await setTopic(ana, long);
    for (const page of [ana, lin]) {
      await page.locator("#topic-words", { hasText: long }).waitFor();
      assert.equal(await page.getAttribute("#topic", "title"), long);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
    }
    assert.match((await lin.locator(".topic-line").textContent()) ?? "", /Ana.+把话题改为：.+<b>The book/);
    await lin.getByRole("log").getByText("把话题改为").waitFor();
    assert.equal(await lin.evaluate(() => document.activeElement?.closest("dialog")), null);

    await setTopic(lin, "读书会");
    await ana.getByRole("button", { name: "Topic: 读书会" }).waitFor();
    const late = await world.browser.visit(url(other), { name: "Late" });
    await late.getByRole("button", { name: "Topic: 读书会" }).waitFor();
    const lobby = await world.browser.visit(`${world.server.url}/`);
    await lobby.getByRole("link", { name: new RegExp(`^#${room} .*读书会$`) }).waitFor();

    await setTopic(ana, "");
    await lin.getByRole("button", { name: "添加话题" }).waitFor();
    await lin.getByText("去掉了话题").first().waitFor();
    const topics = (await world.server.log(room)).filter(({ type }) => type === "chat.topic").map(({ text }) => text);
    assert.deepEqual(topics, [long, "读书会", ""]);
  });
}

test("a topic that changed while a page was away is there when it comes back", async () => {
  const room = "topic-away";
  const away = await world.browser.visit(roomUrl(world.server.url, room), { name: "Ana" });
  const here = await world.browser.visit(roomUrl(world.server.url, room), { name: "Ben" });
  await Promise.all([live(away), live(here)]);
  await away.context().setOffline(true);
  await away.waitForSelector("#state[data-phase=offline]");
  await setTopic(here, "one");
  await here.getByRole("button", { name: "Topic: one" }).waitFor();
  await setTopic(here, "two");
  await here.getByRole("button", { name: "Topic: two" }).waitFor();

  await away.context().setOffline(false);
  await away.getByRole("button", { name: "Topic: two" }).waitFor();
  await away.locator(".topic-line").nth(1).waitFor();
  assert.equal(await away.locator(".topic-line").count(), 2);
});

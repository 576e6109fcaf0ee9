import assert from "node:assert/strict";
import { test } from "node:test";
import { LOOKS, violations } from "../support/axe.js";
import { choose, live, roomUrl } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

for (const { name, options } of LOOKS) {
  test(`the room has no accessibility violation: ${name}`, async () => {
    const room = `axe-${options.colorScheme}-${options.viewport.width}-${options.locale}`;
    await world.server.post(room, "from somebody else, with a link: https://example.org/");
    await world.server.post(room, "@Ana **b** *i* ~~s~~ `c`\n> quoted\n- one\n- two\n```\na long line of code, and on and on it goes, further than the page\n```");
    await world.server.post(room, "/me waves");
    const page = await world.browser.visit(roomUrl(world.server.url, room), { name: "Ana", ...options });
    await live(page);
    await page.locator("#people li").first().waitFor({ state: "attached" });
    await page.click("#send");
    await page.fill("#text", "an own message\n第二行 🎉");
    await page.click("#send");
    await page.waitForSelector(".own:not(.pending)");
    await choose(page, "from somebody else", "👍");
    await page.waitForSelector(".reaction");
    await page.locator("#text").pressSequentially("/");
    await page.getByRole("listbox").waitFor();
    assert.deepEqual(await violations(page), []);
    await page.fill("#text", "");
    await page.click("#topic");
    await page.fill("#new-topic", "what we read this month");
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".topic-line");
    assert.deepEqual(await violations(page), []);

    await page.click("#settings");
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");
    await page.fill("#text", "/help");
    await page.click("#send");
    await page.waitForSelector("#help");
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");

    await page.locator(".own .more").last().click();
    await page.getByRole("menu").waitFor();
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press("Escape");
    await page.click("#people-button");
    assert.deepEqual(await violations(page), []);
  });
}

for (const [what, options, prepare] of /** @type {const} */ ([
  ["text twice as large", { viewport: { width: 640, height: 800 } }, () => (document.documentElement.style.fontSize = "200%")],
  ["a page from right to left", { viewport: { width: 375, height: 720 } }, () => (document.documentElement.dir = "rtl")],
  ["forced colours and no motion", { forcedColors: "active", reducedMotion: "reduce" }, () => null],
])) {
  test(`the room keeps everything in reach: ${what}`, async () => {
    const room = `reach-${what.replaceAll(" ", "-")}`;
    await world.server.post(room, "שלום! **bold** `code` https://a-rather-long-address.example/with/many/parts/to/it");
    const page = await world.browser.visit(roomUrl(world.server.url, room), { name: "Ana", ...options });
    await live(page);
    await page.evaluate(prepare);
    await page.waitForSelector("#messages .text");
    for (const id of ["topic", "copy", "people-button", "settings", "text", "send"]) {
      const box = await page.locator(`#${id}`).boundingBox();
      const { width, height } = /** @type {{ width: number, height: number }} */ (page.viewportSize());
      const inside = box !== null && box.x >= 0 && box.y >= 0 && box.x + box.width <= width + 1 && box.y + box.height <= height + 1;
      assert.ok(inside, `#${id}: ${JSON.stringify(box)}`);
    }
    assert.deepEqual(await violations(page), []);
  });
}

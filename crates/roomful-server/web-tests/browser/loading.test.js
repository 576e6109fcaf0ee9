import assert from "node:assert/strict";
import { test } from "node:test";
import { live, roomUrl } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

/**
 * What its files cost: requests, and bytes of their bodies as they came.
 * @param {import("playwright-core").Page} page @param {RegExp} [without] those that come once one can read and write
 */
async function cost(page, without = /^$/) {
  return page.evaluate((without) => {
    const [itself] = performance.getEntriesByType("navigation");
    const files = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/assets/") && !new RegExp(without).test(name));
    const all = /** @type {PerformanceResourceTiming[]} */ ([itself, ...files]);
    return { requests: all.length, bytes: all.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) };
  }, without.source);
}

for (const { name, path, there, most } of [
  { name: "lobby", path: "/", there: "#no-rooms, #rooms li", most: 8 },
  { name: "status page", path: "/status/", there: "#state[data-phase=live]", most: 9 },
]) {
  test(`the first visit to the ${name} costs at most ${most} KB in 6 requests`, async (context) => {
    const page = await world.browser.visit(world.server.url + path, { name: "Ana" });
    await page.locator(there).first().waitFor();
    const { requests, bytes } = await cost(page);
    context.diagnostic(`${bytes} bytes in ${requests} requests`);
    assert.ok(bytes <= most * 1024 && requests <= 6, `${bytes} bytes in ${requests} requests`);
  });
}

for (const locale of ["en-GB", "zh-CN"]) {
  test(`the first visit to the room costs at most 22 KB until one can read and write: ${locale}`, async (context) => {
    const page = await world.browser.visit(roomUrl(world.server.url, "first"), { locale });
    await live(page);
    await page.locator("#people li").first().waitFor();
    const all = await cost(page);
    const first = await cost(page, /\/later(-\w+)?\.(js|css)$|-later-\w+\.js$/);
    context.diagnostic(`${first.bytes} bytes in ${first.requests} requests, then ${all.bytes - first.bytes} in ${all.requests - first.requests}`);
    assert.ok(first.bytes <= 22 * 1024 && first.requests <= 5, JSON.stringify(first));
    assert.ok(all.bytes <= 28 * 1024 && all.requests <= 8, JSON.stringify(all));
  });
}

test("the second visit sends no file again", async () => {
  const url = roomUrl(world.server.url, "again");
  const page = await world.browser.visit(url, { name: "Ana" });
  await live(page);
  await page.reload();
  await live(page);
  const sent = await page.evaluate(() => {
    const files = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"));
    const assets = files.filter(({ name }) => name.includes("/assets/"));
    // What the network carried: the heads of answers that say 304, for which browsers count 300 bytes.
    return assets.map(({ transferSize }) => transferSize);
  });
  assert.ok(sent.length >= 5);
  assert.deepEqual(sent.filter((bytes) => bytes > 300), []);
});

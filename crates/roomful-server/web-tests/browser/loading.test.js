import assert from "node:assert/strict";
import { test } from "node:test";
import { live, roomUrl } from "../support/room.js";
import { suite } from "../support/suite.js";

const world = suite();

/** @param {import("playwright-core").Page} page what its files cost: requests, and bytes of their bodies as they came */
async function cost(page) {
  return page.evaluate(() => {
    const [itself] = performance.getEntriesByType("navigation");
    const files = performance.getEntriesByType("resource").filter(({ name }) => name.includes("/assets/"));
    const all = /** @type {PerformanceResourceTiming[]} */ ([itself, ...files]);
    return { requests: all.length, bytes: all.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) };
  });
}

for (const [name, path, kilobytes] of /** @type {const} */ ([["room", "/room/first/", 52], ["lobby", "/", 14]])) {
  test(`the first visit to the ${name} costs less than ${kilobytes} KB`, async () => {
    const page = await world.browser.visit(world.server.url + path, { name: "Ana" });
    if (name === "room") await live(page);
    else await page.locator("#no-rooms, #rooms li").first().waitFor();
    const { requests, bytes } = await cost(page);
    assert.ok(bytes < kilobytes * 1024, `${bytes} bytes in ${requests} requests`);
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
  assert.ok(sent.length > 10);
  assert.deepEqual(sent.filter((bytes) => bytes > 300), []);
});

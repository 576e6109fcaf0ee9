import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { live, roomUrl, say, sees } from "../support/room.js";
import { Server } from "../support/server.js";
import { Site } from "../support/site.js";
import { suite } from "../support/suite.js";

const world = suite();
/** It sends the sources, as to somebody who works on the page. @type {Server} */
let sources;
before(async () => (sources = await Server.start({ WEB_DIR: fileURLToPath(new URL("../../web", import.meta.url)) })));
after(() => sources.end());

/** @param {import("playwright-core").Page} page @returns {Promise<string[]>} the paths of the scripts and style sheets it has loaded */
function loaded(page) {
  return page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname).filter((path) => /\.(js|css)$/.test(path)));
}

test("every page works with its sources as they are", async () => {
  const room = await world.browser.visit(roomUrl(sources.url, "workshop"), { name: "Ana" });
  await live(room);
  await say(room, "unpacked");
  await sees(room, ["unpacked"]);
  await room.locator("#people li").first().waitFor();
  await room.click("#copy");
  await room.locator("dialog[open] canvas, dialog[open] svg").first().waitFor();
  const files = await loaded(room);
  assert.ok(files.includes("/assets/timeline.js") && files.includes("/assets/style.css"), files.join());
  assert.deepEqual(files.filter((path) => path.includes("chunks")), []);

  const lobby = await world.browser.visit(sources.url);
  await lobby.locator("#rooms li", { hasText: "workshop" }).waitFor();
  const status = await world.browser.visit(`${sources.url}/status/`);
  await status.locator("#state[data-phase=live]").waitFor();
});

test("other sites take the client module from its address, in one file that exports Room", async () => {
  const page = await world.browser.visit(world.server.url);
  const before = await loaded(page);
  const got = await page.evaluate(async () => {
    const client = await import(/** @type {any} */ ("/assets/client.js"));
    const room = new client.Room({ room: "client", name: "Bot", transport: "longpoll" });
    const welcome = new Promise((resolve) => room.on("welcome", () => resolve(room.you.name)));
    room.connect();
    return { exports: Object.keys(client), name: await welcome };
  });
  assert.deepEqual(got, { exports: ["Room"], name: "Bot" });
  const after = await loaded(page);
  assert.deepEqual(after.filter((path) => !before.includes(path)), ["/assets/client.js"]);
});

test("embed.js leaves nothing in a page but its element, however often the page has it", async () => {
  const site = await Site.start();
  const script = `<script src="${world.server.url}/embed.js"></script>`;
  const globals = async (/** @type {string} */ html) => {
    const page = await world.browser.visit(site.at("localhost", site.plain(`<!doctype html><title>x</title><link rel="icon" href="data:,">${html}`)));
    return page.evaluate(() => ({ names: Object.getOwnPropertyNames(window), defined: customElements.get("roomful-chat") !== undefined }));
  };
  try {
    const without = await globals("");
    // A second declaration of the same name would be an error, which fails the test.
    const twice = await globals(script + script);
    assert.deepEqual(twice, { ...without, defined: true });
  } finally {
    await site.end();
  }
});

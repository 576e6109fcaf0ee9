import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { LOOKS, violations } from "../support/axe.js";
import { Site } from "../support/site.js";
import { suite } from "../support/suite.js";

/** The site at `localhost` is allowed; the same at `127.0.0.1` is another one, and is not. */
const world = suite({ EMBED__ALLOWED: "localhost" });
/** @type {Site} */
let site;
before(async () => (site = await Site.start()));
after(() => site.end());

/** @param {Parameters<Site["page"]>[1] & { host?: string, visit?: object }} [options] */
async function visit({ host = "localhost", visit: how = {}, ...options } = {}) {
  return world.browser.visit(site.at(host, site.page(world.server.url, options)), how);
}

/** @param {import("playwright-core").Page} page */
const launcher = (page) => page.locator("roomful-chat .launcher");

/** @param {import("playwright-core").Page} page the room, once it is live */
async function room(page) {
  const frame = page.frameLocator("roomful-chat iframe");
  await frame.locator("#state[data-phase=live]").waitFor({ state: "attached" });
  return frame;
}

/** @param {import("playwright-core").Page} page @param {string} name */
async function named(page, name) {
  const matches = (/** @type {string} */ wanted) =>
    document.querySelector("roomful-chat")?.shadowRoot?.querySelector(".launcher")?.getAttribute("aria-label") === wanted;
  await page.waitForFunction(matches, name);
}

test("a page of another site has the room in its corner, and loads nothing of it before it is asked for", async () => {
  const page = await visit();
  /** @type {string[]} */
  const asked = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  assert.equal(await page.locator("roomful-chat iframe").count(), 0);
  await launcher(page).click();
  const frame = await room(page);
  await frame.locator("#text").fill("are they safe in April?");
  await frame.locator("#text").press("Enter");
  await frame.locator(".own:not(.pending)").waitFor();

  assert.deepEqual((await world.server.log("help")).map(({ text }) => text), ["are they safe in April?"]);
  assert.ok(asked.includes("/room/help/"));
  assert.deepEqual(await page.context().cookies(), []);
  assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length]), [0, 0]);
  // The room's own way out would lead the frame to a page that may not be framed.
  assert.equal(await frame.locator('.top > [href="/"]').isVisible(), false);
});

test("a site that is not allowed is refused by the browser, and its reader is shown the way to the room", async () => {
  const page = await visit({ host: "127.0.0.1" });
  await launcher(page).click();
  const link = page.locator("roomful-chat .notice a");
  await link.waitFor();

  assert.equal(await link.getAttribute("href"), `${world.server.url}/room/help/`);
  assert.equal(page.frames().some((frame) => frame.url().includes("/room/")), false);
  const complaints = world.browser.complaints();
  assert.ok(complaints.length > 0 && complaints.every((complaint) => complaint.includes("frame-ancestors")), complaints.join("\n"));
});

test("what is said while the chat is closed is counted on its button until it is opened", async () => {
  const page = await visit({ attributes: 'data-room="unread"' });
  await page.evaluate(() => {
    const heard = (window.heard = []);
    const chat = document.querySelector("roomful-chat");
    chat.addEventListener("unread", ({ detail }) => heard.push(detail.count));
    for (const type of ["open", "close"]) chat.addEventListener(type, () => heard.push(type));
  });
  await launcher(page).click();
  const frame = await room(page);
  await page.locator("roomful-chat .close").click();
  await world.server.post("unread", "one");
  await named(page, "Chat #unread, 1 unread message");
  await world.server.post("unread", "two");
  await named(page, "Chat #unread, 2 unread messages");
  assert.equal(await page.locator("roomful-chat .badge").textContent(), "2");
  assert.equal(await page.locator("roomful-chat [role=status]").textContent(), "Chat #unread, 1 unread message");

  await launcher(page).click();

  await named(page, "Chat #unread");
  await frame.locator(".text", { hasText: "two" }).waitFor();
  assert.equal(await page.locator("roomful-chat .badge").isVisible(), false);
  assert.deepEqual(await page.evaluate(() => window.heard), ["open", "close", 1, 2, "open", 0]);
});

test("loaded early, it counts before it was ever opened", async () => {
  const page = await visit({ attributes: 'data-room="early" data-load="early"' });
  await room(page);
  await world.server.post("early", "good morning");
  await named(page, "Chat #early, 1 unread message");
});

test("everything can be done by keyboard, and Escape leads back", async () => {
  const page = await visit({ attributes: 'data-room="keys"' });
  const focused = () => page.evaluate(() => document.activeElement?.shadowRoot?.activeElement?.className ?? document.activeElement?.tagName);
  await page.getByRole("link", { name: "About" }).focus();
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "launcher");
  // What is closed cannot take the focus. (With another Tab it would leave the page for the browser.)
  await page.locator("roomful-chat .close").evaluate((close) => close.focus());
  assert.equal(await focused(), "launcher");
  await page.keyboard.press("Enter");
  const frame = await room(page);
  await frame.locator("#text:focus").waitFor();
  await page.keyboard.type("no mouse here");
  await page.keyboard.press("Enter");
  await frame.locator(".own:not(.pending)").waitFor();
  await page.keyboard.press("Escape");

  await page.locator("roomful-chat:not([open])").waitFor({ state: "attached" });
  assert.equal(await focused(), "launcher");
  assert.equal(await launcher(page).getAttribute("aria-expanded"), "false");
  await page.keyboard.press("Space");
  await frame.locator("#text:focus").waitFor();
  await page.locator("roomful-chat .close").focus();
  await page.keyboard.press("Escape");
  assert.equal(await focused(), "launcher");
});

test("Escape closes what is open in the room before it closes the chat", async () => {
  const page = await visit({ attributes: 'data-room="escape"' });
  await launcher(page).click();
  const frame = await room(page);
  await frame.locator("#topic").click();
  await frame.locator("#new-topic").press("Escape");
  await frame.locator("dialog[open]").waitFor({ state: "detached" });
  assert.equal(await page.locator("roomful-chat").getAttribute("open"), "");
});

test("messages of anybody else are not listened to, on either side", async () => {
  const evil = site.plain(`<script>
    const theme = { type: "roomful.theme", theme: "dark" };
    addEventListener("message", () => {
      for (let i = 0; i < parent.length; i += 1) for (let j = 0; j < 1; j += 1) parent[i].postMessage(theme, "*");
      parent.postMessage({ type: "roomful.unread", count: 66 }, "*");
      parent.postMessage({ type: "roomful.close" }, "*");
      parent.postMessage("sent", "*");
    });
  </script>`);
  const page = await visit({ attributes: 'data-room="origins"', frames: [site.at("127.0.0.1", evil)] });
  await launcher(page).click();
  const frame = await room(page);
  await page.evaluate(() => {
    const sent = new Promise((done) => addEventListener("message", ({ data }) => data === "sent" && done(undefined)));
    window.postMessage({ type: "roomful.unread", count: 55 }, "*");
    const other = document.querySelector('iframe[title="other"]');
    other.contentWindow.postMessage("now", "*");
    return sent;
  });
  // What the page itself asks for comes after all that, and is heard.
  await page.locator("roomful-chat").evaluate((chat) => chat.setAttribute("theme", "light"));
  await frame.locator("html[data-theme=light]").waitFor();

  assert.equal(await page.locator("roomful-chat").evaluate((chat) => chat.unread), 0);
  assert.equal(await page.locator("roomful-chat").getAttribute("open"), "");
});

test("a site that may show rooms tells the room only what its own pages say", async () => {
  // Framed by an allowed site, but told that another one is listening.
  const html = `<iframe src="${world.server.url}/room/lie/?embed=https://example.org"></iframe>
    <script>window.heard = []; addEventListener("message", ({ data }) => window.heard.push(data));</script>`;
  const page = await world.browser.visit(site.at("localhost", site.plain(html)));
  const frame = page.frameLocator("iframe");
  await frame.locator("#state[data-phase=live]").waitFor();
  await frame.locator('.top > [href="/"]').waitFor({ state: "hidden" });
  await page.evaluate(() => frames[0].postMessage({ type: "roomful.theme", theme: "dark" }, "*"));
  await world.server.post("lie", "hello");
  await frame.locator(".text", { hasText: "hello" }).waitFor();

  assert.deepEqual(await page.evaluate(() => window.heard), []);
  assert.equal(await frame.locator("html").getAttribute("data-theme"), null);
  world.browser.complaints();
});

test("a browser that keeps no storage for frames of other sites has a working room", async () => {
  const page = await world.browser.visit("about:blank");
  await page.context().addInitScript(() => {
    for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches"]) {
      Object.defineProperty(window, name, { get: () => { throw new DOMException("storage is blocked", "SecurityError"); } });
    }
  });
  await page.goto(site.at("localhost", site.page(world.server.url, { attributes: 'data-room="blocked"' })));
  await launcher(page).click();
  const frame = await room(page);
  await frame.locator("#text").fill("still here");
  await frame.locator("#text").press("Enter");
  await frame.locator(".own:not(.pending)").waitFor();
});

test("language, side and colours are the page's to choose", async () => {
  const page = await visit({ attributes: 'data-room="茶馆" data-lang="zh" data-theme="dark" data-position="left"' });
  await named(page, "聊天室 #茶馆");
  const { x } = await launcher(page).boundingBox();
  assert.ok(x < 100);
  await launcher(page).click();
  const frame = await room(page);
  await frame.locator('html[lang="zh-CN"][data-theme="dark"]').waitFor();
  const ground = await frame.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
  assert.equal(ground, "rgb(18, 23, 26)");
  await page.locator("roomful-chat").evaluate((chat) => chat.setAttribute("theme", "light"));
  await frame.locator('html[data-theme="light"]').waitFor();
});

for (const { name, options } of LOOKS) {
  test(`the chat in another site's page has no accessibility violation: ${name}`, async () => {
    const lang = options.locale.slice(0, 2);
    const attributes = `data-room="axe-${lang}" data-load="early"`;
    const page = await visit({ lang, attributes, visit: options });
    await room(page);
    await world.server.post(`axe-${lang}`, "hello from the garden");
    await page.locator("roomful-chat .badge").waitFor();
    assert.deepEqual(await violations(page), []);
    await launcher(page).click();
    await page.frameLocator("roomful-chat iframe").locator(".text").first().waitFor();
    assert.deepEqual(await violations(page), []);
  });
}

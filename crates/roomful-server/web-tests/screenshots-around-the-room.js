/**
 * Pictures of the pages around the room: lobby, invitation, status, and the chat in another site's page.
 * `ROOMFUL_BIN=… node screenshots-around-the-room.js FOLDER [status]`
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Browser } from "./support/browser.js";
import { live, roomUrl, say } from "./support/room.js";
import { Server } from "./support/server.js";
import { Site } from "./support/site.js";

const folder = process.argv[2] ?? "screenshots";
const statusAlone = process.argv[3] === "status";
const LOOKS = {
  light: { viewport: { width: 1280, height: 800 } },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  phone: { viewport: { width: 375, height: 760 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
  zh: { viewport: { width: 1280, height: 800 }, locale: "zh-CN" },
  "zh-dark-phone": { viewport: { width: 375, height: 760 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2, locale: "zh-CN", colorScheme: "dark" },
};
const TOPICS = [
  ["book-club", "This month: Middlemarch, book three", ["I finished chapter 27 on the train.", "No spoilers, please!"]],
  ["读书会", "这个月读《围城》", ["第三章真好笑", "同意，方鸿渐太有意思了"]],
  ["garden", "Tomatoes, frost, and what to do about slugs", ["Is two weeks after the last frost enough?", "Under glass, yes."]],
  ["release-42", "", ["All green.", "Shipping at three."]],
  ["weekend-walk", "Saturday 9:30 at the bridge", ["I bring tea."]],
];

await mkdir(folder, { recursive: true });
const server = await Server.start({ EMBED__ALLOWED: "localhost" });
const browser = await Browser.open();
const site = await Site.start();
try {
  const people = [];
  for (const [room, topic, texts] of TOPICS) {
    for (const [index, text] of texts.entries()) {
      const name = ["Ana", "林小明", "Tom"][(index + people.length) % 3];
      const page = await browser.visit(roomUrl(server.url, room), { name });
      await live(page);
      await say(page, text);
      if (index === 0 && topic !== "") {
        await page.click("#topic");
        await page.fill("#new-topic", topic);
        await page.keyboard.press("Enter");
      }
      people.push(page);
    }
  }
  await people.at(-1).close();

  for (const [name, look] of statusAlone ? [] : Object.entries(LOOKS)) {
    const options = /** @type {any} */ (look);
    const shoot = (/** @type {any} */ page, /** @type {string} */ of) => page.screenshot({ path: join(folder, `${of}-${name}.png`) });
    const lobby = await browser.visit(roomUrl(server.url, "garden"), { name: "Kim", ...options });
    await live(lobby);
    await lobby.goto(`${server.url}/`);
    await lobby.locator("#rooms li").nth(TOPICS.length - 1).waitFor();
    await shoot(lobby, "lobby");
    await lobby.locator('[data-room="garden"] button').click();
    await lobby.locator(".share-code").waitFor();
    await shoot(lobby, "invite");
    await lobby.context().close();

    const host = await browser.visit(site.at("localhost", site.page(server.url, { attributes: 'data-room="garden" data-load="early"', lang: options.locale ?? "en" })), options);
    await host.frameLocator("roomful-chat iframe").locator("#state[data-phase=live]").waitFor({ state: "attached" });
    await server.post("garden", "Good morning! Any news of the tomatoes?");
    await host.locator("roomful-chat .badge").waitFor();
    await shoot(host, "embed-closed");
    await host.locator("roomful-chat .launcher").click();
    await host.frameLocator("roomful-chat iframe").locator(".text").last().waitFor();
    await shoot(host, "embed-open");
    await host.context().close();
  }

  const boards = [];
  for (const look of Object.values(LOOKS)) boards.push(await browser.visit(`${server.url}/status/`, /** @type {any} */ (look)));
  const rhythm = (/** @type {number} */ second) => Math.round(6 + 5 * Math.sin(second / 5) + (second % 17 === 0 ? 14 : 0));
  const until = Number(process.env.STATUS_SECONDS ?? 100);
  let second = 0;
  // What somebody says is shown in the second it is said: the server's own pulse sets the pace.
  while (second < until) {
    await Promise.all(Array.from({ length: Math.max(0, rhythm(second)) }, (_, at) => server.post(TOPICS[at % TOPICS.length][0], `message ${second}.${at}`)));
    await boards[0].evaluate(() => new Promise((changed) => new MutationObserver((_, it) => (it.disconnect(), changed(undefined))).observe(document.querySelector(".line"), { attributes: true })));
    second += 1;
  }
  for (const [index, name] of Object.keys(LOOKS).entries()) {
    await boards[index].screenshot({ path: join(folder, `status-${name}.png`) });
  }
} finally {
  await browser.close();
  await site.end();
  await server.end();
}

/**
 * Pictures of a room for the documentation: `npm run screenshots`, which writes them to `docs/`; with a folder as its
 * argument, all there are go there.
 */
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Browser } from "./support/browser.js";
import { live } from "./support/room.js";
import { Server } from "./support/server.js";

const DOCS = fileURLToPath(new URL("../../../docs/", import.meta.url));
const folder = process.argv[2] ?? DOCS;

/** @typedef {[who: string, text: string, more?: { reply?: number, reactions?: Record<string, string[]>, yesterday?: boolean }]} Line */

/** @type {{ room: string, topic: string, me: string, lines: Line[], draft: string }} */
const ENGLISH = {
  room: "garden",
  topic: "Community garden · spring planting on Saturday",
  me: "Ana",
  draft: "",
  lines: [
    ["Tomás", "The seedlings are out of the cold frame and look strong 🌱", { yesterday: true, reactions: { "🎉": ["Ana", "Mei"] } }],
    ["Ana", "Lovely! I’ll bring the **big** watering can.", { yesterday: true }],
    ["Mei", "Morning! Plan for Saturday:\n1. weed the two *front* beds\n2. compost, about 4 barrows\n3. plant out, tomatoes last"],
    ["Mei", "Who has the key to the shed?"],
    ["Ana", "I do. I’ll open up at half past eight.", { reply: 3, reactions: { "👍": ["Mei", "Tomás", "Noor"] } }],
    ["Noor", "@Ana could you check the water meter on the way in? The reader wants it as\n```\nbed 3  0412.7 m³\n```"],
    ["Tomás", "> plant out, tomatoes last\nAgreed, and keep the fleece at hand: frost on Sunday, says https://weather.example/week"],
    ["Ana", "Will do, @Noor. And ~~six~~ **seven** of us are coming now.", { reactions: { "❤️": ["Noor"], "🎉": ["Mei", "Ana"] } }],
    ["Noor", "/me puts the kettle on ☕"],
  ],
};

/** @type {typeof ENGLISH} */
const CHINESE = {
  room: "读书会",
  topic: "本月共读《边城》，周日晚八点讨论",
  me: "林小明",
  draft: "",
  lines: [
    ["陈静", "第三章读完了，**翠翠**和爷爷的对话写得真好。", { yesterday: true, reactions: { "❤️": ["林小明", "阿亮"] } }],
    ["林小明", "我读到渡船那一段，慢慢来 🚣", { yesterday: true }],
    ["阿亮", "周日的安排：\n- 八点开始，先各说两分钟\n- 讨论*人物与风景*\n- 选下个月的书"],
    ["陈静", "> 选下个月的书\n我提议《呼兰河传》。", { reactions: { "👍": ["阿亮", "周周", "林小明"] } }],
    ["周周", "@林小明 上次的笔记放在哪里了？"],
    ["林小明", "在这里：https://notes.example/biancheng ，密码是 `duchuan`。", { reply: 4 }],
    ["周周", "收到，谢谢！🎉"],
    ["Ana", "I’ll join from Lisbon, so it is lunchtime here. 午安！"],
    ["阿亮", "/me 去泡茶了"],
  ],
};

const server = await Server.start();
const browser = await Browser.open();
try {
  await mkdir(folder, { recursive: true });
  const english = await talk(ENGLISH);
  const chinese = await talk(CHINESE);
  const phone = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
  await picture("room-light.png", english, { viewport: { width: 1180, height: 860 } });
  await picture("room-dark-phone.png", english, { ...phone, colorScheme: "dark" });
  await picture("room-zh.png", chinese, { viewport: { width: 1180, height: 860 }, locale: "zh-CN" });
  if (folder !== DOCS) {
    await picture("dark.png", english, { viewport: { width: 1180, height: 860 }, colorScheme: "dark" });
    await picture("phone.png", english, phone);
    await picture("zh-phone.png", chinese, { ...phone, locale: "zh-CN" });
    await picture("menu.png", english, { viewport: { width: 1180, height: 860 } }, async (page) => {
      await page.locator("article").nth(4).hover();
      await page.locator(".more").nth(4).click();
    });
    await picture("suggest.png", english, phone, (page) => page.locator("#text").pressSequentially("Thanks @"));
    await picture("command.png", english, { viewport: { width: 1180, height: 860 }, colorScheme: "dark" }, (page) => page.locator("#text").pressSequentially("/"));
    await picture("settings.png", english, phone, (page) => page.click("#settings"));
    await picture("help.png", english, { viewport: { width: 1180, height: 860 } }, async (page) => {
      await page.fill("#text", "/help");
      await page.press("#text", "Enter");
      await page.waitForSelector("#help");
    });
    await picture("people.png", english, phone, (page) => page.click("#people-button"));
    await picture("narrow.png", english, { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true });
    await picture("empty.png", { ...english, url: `${server.url}/room/new/`, at: [] }, { viewport: { width: 1180, height: 700 } });
    await picture("offline.png", english, phone, async (page) => {
      await page.context().setOffline(true);
      await page.waitForSelector("#state[data-phase=offline]");
      await page.fill("#text", "See you on Saturday!");
      await page.click("#send");
    });
    await picture("forced.png", english, { viewport: { width: 1180, height: 860 }, forcedColors: "active" });
  }
} finally {
  await browser.close();
  await server.end();
}

/** Says all that, and keeps those who said it in the room. @param {typeof ENGLISH} script */
async function talk({ room, topic, me, lines, draft }) {
  const url = `${server.url}/room/${encodeURIComponent(room)}/`;
  const api = `${server.url}/api/rooms/${encodeURIComponent(room)}`;
  /** @type {Map<string, string>} */
  const tokens = new Map();
  let asked = 0;
  /** @param {string} method @param {string} path @param {string} name @param {object} body */
  const ask = async (method, path, name, body) => {
    const token = tokens.get(name);
    const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
    const answer = await (await fetch(api + path, { method, headers, body: JSON.stringify({ id: `c-${(asked += 1)}`, name, ...body }) })).json();
    if (answer.error) throw new Error(JSON.stringify(answer.error));
    if (answer.you) tokens.set(name, answer.you.token);
    return answer.seq;
  };
  const now = new Date();
  const morning = new Date(now.getFullYear(), now.getMonth(), now.getDate(), 9, 2).getTime();
  /** @type {{ seq: number, at: string }[]} */
  const at = [];
  /** @type {number[]} */
  const said = [];
  let time = morning;
  for (const [name, text, { reply, yesterday } = {}] of lines) {
    const seq = await ask("POST", "/messages", name, { text, reply_to: reply === undefined ? undefined : said[reply] });
    said.push(seq);
    time += 100_000;
    at.push({ seq, at: new Date(yesterday ? time - 52_000_000 : time).toISOString() });
  }
  for (const [index, [, , { reactions = {} } = {}]] of lines.entries()) {
    for (const [emoji, people] of Object.entries(reactions)) {
      for (const name of people) await ask("PUT", `/messages/${said[index]}/reactions`, name, { emoji, on: true });
    }
  }
  await ask("PUT", "/topic", me, { text: topic });
  const others = [...tokens].filter(([name]) => name !== me);
  for (const [name, token] of others) await live(await visit(url, name, token, []));
  return { url, at, me, token: tokens.get(me) ?? "", draft };
}

/**
 * @param {string} url @param {string} name @param {string} token @param {{ seq: number, at: string }[]} at when it was said
 * @param {object} [options]
 */
async function visit(url, name, token, at, options = {}) {
  const page = await browser.visit("about:blank", { ...options, name });
  await page.context().addInitScript(([key, token]) => localStorage.setItem(key, token), [`roomful:token:${server.url}`, token]);
  await page.route("**/messages?*", async (route) => {
    const response = await route.fetch();
    const body = await response.json();
    for (const message of body.messages) message.at = at.find(({ seq }) => seq === message.seq)?.at ?? message.at;
    await route.fulfill({ response, json: body });
  });
  await page.goto(url);
  return page;
}

/**
 * @param {string} file @param {{ url: string, at: { seq: number, at: string }[], me: string, token: string }} talk
 * @param {object} options @param {(page: import("playwright-core").Page) => Promise<unknown>} [prepare]
 */
async function picture(file, { url, at, me, token }, options, prepare = async () => {}) {
  const page = await visit(url, me, token, at, { reducedMotion: "reduce", ...options });
  await live(page);
  await page.locator("#people li").first().waitFor({ state: "attached" });
  await page.waitForFunction(() => document.querySelector("link[href$='later.css']"));
  await prepare(page);
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: `${folder}/${file}` });
  await page.context().close();
}

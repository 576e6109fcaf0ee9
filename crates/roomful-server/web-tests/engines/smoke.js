/**
 * What every engine has to do with the page: the same ten tests in each, chosen for where engines differ (storage,
 * streams, focus, popovers, scrolling, addresses, frames and policies). The rest is tested in Chromium, in browser/.
 */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { ENGINES } from "../support/engines.js";
import { roomUrl } from "../support/room.js";
import { Server } from "../support/server.js";
import { Site } from "../support/site.js";
import { Visitor } from "../support/visitor.js";

const TEXTS = "#messages .text";

/** A test that hangs fails, and the next one runs. */
const LIMIT = { timeout: 120_000 };

/** In the page: whether it shows the newest message. */
function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = /** @type {HTMLElement} */ (document.getElementById("scroller"));
  return scrollTop > 0 && scrollHeight - scrollTop - clientHeight < 2;
}

/** @param {keyof ENGINES} name */
export function smoke(name) {
  /** @type {Server} */
  let server;
  /** @type {import("../support/engines.js").Engine} */
  let engine;
  /** @type {Visitor[]} */
  let visitors = [];
  before(async () => {
    server = await Server.start({ EMBED__ALLOWED: "localhost" });
    engine = await ENGINES[name]();
  }, LIMIT);
  afterEach(async () => {
    await Promise.all(visitors.splice(0).map((visitor) => visitor.leave()));
  });
  after(async () => {
    await engine?.end();
    await server?.end();
  });

  async function newVisitor() {
    const visitor = new Visitor(await engine.open());
    visitors.push(visitor);
    return visitor;
  }

  /** Somebody in a room. @param {string} room @param {string} who @param {string} [query] */
  async function enter(room, who, query) {
    const visitor = await newVisitor();
    await visitor.introduce(roomUrl(server.url, room, query), who);
    await visitor.sees("#state[data-phase=live]");
    return visitor;
  }

  /** @param {Visitor} visitor @param {string} text */
  async function say(visitor, text) {
    await visitor.click("#text");
    await visitor.type(text);
    await visitor.press("Enter");
    await visitor.sees(TEXTS, text);
    await visitor.seesNo(".pending, .failed");
  }

  /** @param {string} room */
  const said = async (room) => (await server.log(room)).map(({ text }) => text);

  test(`${name}: two people see what the other says, Chinese and emoji included`, LIMIT, async () => {
    const [ana, lin] = await Promise.all([enter("大厅", "Ana"), enter("大厅", "林小明")]);

    await say(ana, "Hello there");
    await say(lin, "你好，世界 🎉");

    const all = ["Hello there", "你好，世界 🎉"];
    await ana.reads(TEXTS, all);
    await lin.reads(TEXTS, all);
    await ana.reads("#messages .by .name", ["Ana", "林小明"]);
    await ana.sees("#title", "#大厅");
    await ana.waitFor(() => document.querySelectorAll("#people > li").length === 2);
    assert.deepEqual(await said("大厅"), all);
  });

  test(`${name}: every transport carries a conversation, and the page says which it is`, LIMIT, async () => {
    const words = { websocket: "Connected", sse: "Live by event stream", longpoll: "Live by long poll" };
    const texts = [];
    for (const [transport, state] of Object.entries(words)) {
      const ana = await enter("transports", "Ana", `?transport=${transport}`);
      await ana.sees("#state-words", state);
      await say(ana, `by ${transport}`);
      await server.post("transports", `to ${transport}`);
      texts.push(`by ${transport}`, `to ${transport}`);
      await ana.reads(TEXTS, texts);
    }
  });

  test(`${name}: markup and scripts are shown as the text they are`, LIMIT, async () => {
    const attempts = ['<img src=x onerror="window.broken = 1">', "<b>bold</b> &lt; &amp;", '"><svg/onload=window.broken=1>'];
    const eve = await enter("markup", "<i>Eve</i>");
    for (const attempt of attempts) await say(eve, attempt);

    await eve.reads(TEXTS, attempts);
    assert.equal(await eve.evaluate(() => "broken" in window), false);
    assert.equal(await eve.evaluate(() => document.querySelectorAll("#messages :is(script, img, b, i, svg:not(.icon))").length), 0);
  });

  test(`${name}: a reload shows the history, and its reader is still who they were`, LIMIT, async () => {
    const newcomer = await newVisitor();
    await server.post("reload", "before you came");
    await newcomer.goto(roomUrl(server.url, "reload"));
    await newcomer.sees("#naming");
    await newcomer.click("#first-name");
    await newcomer.press("Control+a");
    await newcomer.type("Zoë");
    await say(newcomer, "it is me");

    await newcomer.reload();

    await newcomer.reads(TEXTS, ["before you came", "it is me"]);
    await newcomer.sees("#messages > li.own", "it is me");
    await newcomer.sees("#messages > li.own .name, #people .name", "Zoë");
    await newcomer.seesNo("#naming");
  });

  test(`${name}: the topic is set by one and seen by the other`, LIMIT, async () => {
    const [ana, ben] = await Promise.all([enter("topic", "Ana"), enter("topic", "Ben")]);

    await ana.click("#topic");
    await ana.sees("#topic-dialog[open]");
    await ana.type("读书会 <b>tonight</b>");
    await ana.press("Enter");

    await ben.sees("#topic-words", "读书会 <b>tonight</b>");
    await ben.sees(".topic-line", "读书会");
    await ana.seesNo("#topic-dialog");
  });

  test(`${name}: with the keyboard alone one writes lines, sends, corrects and gives up correcting`, LIMIT, async () => {
    const ana = await enter("keyboard", "Ana");
    await ana.evaluate(() => document.getElementById("text")?.focus());
    const written = () => ana.evaluate(() => /** @type {HTMLTextAreaElement} */ (document.getElementById("text")).value);

    await ana.type("frist");
    await ana.press("Shift+Enter");
    await ana.type("second");
    assert.equal(await written(), "frist\nsecond");
    await ana.press("Enter");
    await ana.reads(TEXTS, ["frist\nsecond"]);
    await ana.seesNo(".pending");

    await ana.press("ArrowUp");
    await ana.sees("#about");
    assert.equal(await written(), "frist\nsecond");
    await ana.press("Escape");
    assert.equal(await written(), "");

    await ana.press("ArrowUp");
    await ana.press("Control+a");
    await ana.type("first");
    await ana.press("Enter");
    await ana.reads(TEXTS, ["first"]);
    await ana.sees("#messages .note", "edited");
  });

  test(`${name}: the menu of a message reacts and deletes, and the other sees it`, LIMIT, async () => {
    const [ana, ben] = await Promise.all([enter("menu", "Ana"), enter("menu", "Ben")]);
    await say(ana, "well done");
    await say(ana, "said too soon");
    await ben.reads(TEXTS, ["well done", "said too soon"]);
    /** @param {Visitor} visitor @param {number} seq */
    const openMenu = async (visitor, seq) => {
      await visitor.hover(`li[data-seq="${seq}"] article`);
      await visitor.click(`li[data-seq="${seq}"] .more`);
      await visitor.sees("[role=menu]");
    };

    await openMenu(ben, 1);
    await ben.click("[role=menu] [role=menuitem]", "👍");
    await openMenu(ana, 2);
    await ana.click("[role=menuitem]", "Delete");
    await ana.click("[role=menuitem]", "Delete");

    await ana.sees(".reaction", "👍 1");
    await ana.click(".reaction", "👍 1");
    await ben.sees(".reaction", "👍 2");
    await ben.reads(TEXTS, ["well done", "This message was deleted."]);
  });

  test(`${name}: the lobby opens a room by a Chinese name, lists it and remembers it`, LIMIT, async () => {
    const ana = await newVisitor();
    await ana.goto(`${server.url}/`);
    await ana.click("#room");
    await ana.type("读书会 2");
    await ana.press("Enter");
    await ana.sees("#room-hint", "How about “读书会-2”?");
    await ana.press("Control+a");
    await ana.type("读书会-2");
    await ana.press("Enter");

    await ana.waitFor((path) => location.pathname === path, `/room/${encodeURIComponent("读书会-2")}/`);
    await ana.sees("#title", "#读书会-2");
    await ana.sees("#state[data-phase=live]");
    await server.post("读书会-2", "welcome");
    await ana.reads(TEXTS, ["welcome"]);
    await ana.click('.top > [href="/"]');
    await ana.sees("#recent a", "#读书会-2");
    await ana.sees("#rooms a", "#读书会-2");
  });

  test(`${name}: who reads further up stays there while messages come, and gets back to the end`, LIMIT, async () => {
    for (let i = 1; i <= 80; i += 1) await server.post("up", `message ${i}`);
    const ana = await enter("up", "Ana");
    await ana.waitFor(isAtEnd);
    await ana.drawn();
    const top = () => ana.evaluate(() => document.querySelector('li[data-seq="60"]')?.getBoundingClientRect().top);
    await ana.evaluate(() => document.querySelector('li[data-seq="60"]')?.scrollIntoView());
    await ana.sees("#jump", "To the newest");
    const before = await top();

    for (let i = 81; i <= 83; i += 1) await server.post("up", `message ${i}`);
    await ana.sees("#jump", "3 new messages");
    assert.equal(await top(), before);

    await ana.click("#jump");
    await ana.waitFor(isAtEnd);
    await ana.seesNo("#jump");
  });

  test(`${name}: a site with a strict policy of its own has the room in its corner`, LIMIT, async () => {
    const site = await Site.start();
    try {
      const ana = await newVisitor();
      await ana.goto(site.at("localhost", site.page(server.url)));
      await ana.click("roomful-chat >>> .launcher");
      const room = await ana.inFrame("roomful-chat >>> iframe");
      await room.sees("#state[data-phase=live]");
      await say(room, "are they safe in April? 四月");

      assert.deepEqual(await said("help"), ["are they safe in April? 四月"]);
      assert.deepEqual(await ana.evaluate(() => [localStorage.length, sessionStorage.length]), [0, 0]);
    } finally {
      await site.end();
    }
  });
}

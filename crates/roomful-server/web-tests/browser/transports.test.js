import assert from "node:assert/strict";
import { test } from "node:test";
import { choose, live, message, roomUrl, say, write } from "../support/room.js";
import { suite } from "../support/suite.js";

const KINDS = ["websocket", "sse", "longpoll", "poll"];
const GONE = "This message was deleted.";

const world = suite();

/**
 * What a page shows, message by message: all that is the same for everybody.
 * @param {import("playwright-core").Page} page
 */
function shown(page) {
  return page.$$eval("#messages > li", (items) =>
    items.map((item) => ({
      seq: Number(item.getAttribute("data-seq")),
      author: item.querySelector(".by .name")?.textContent,
      text: item.querySelector(".text")?.textContent,
      quote: item.querySelector(".quote")?.textContent ?? null,
      deleted: item.querySelector(".gone") !== null,
      edited: item.querySelector(".bubble > .note") !== null,
      reactions: [...item.querySelectorAll(".reaction")].map((reaction) => reaction.textContent),
    })),
  );
}

/** The same, from what the server says. @param {any[]} views */
function expected(views) {
  const bySeq = new Map(views.map((view) => [view.seq, view]));
  return views.map(({ seq, from, text, reply_to, deleted = false, edited_at, reactions = [] }) => {
    const answered = bySeq.get(reply_to);
    return {
      seq,
      author: from.name,
      text: deleted ? GONE : text,
      quote: answered ? `${answered.from.name} ${answered.text}` : null,
      deleted,
      edited: edited_at !== undefined,
      reactions: reactions.map((/** @type {any} */ { emoji, members }) => `${emoji} ${members.length}`),
    };
  });
}

test("four people on four transports hold one conversation, and all four pages and the server agree on it", async () => {
  const room = "四种";
  const names = ["Ana", "林小明", "שרה", "Zoë 🦊"];
  const url = (/** @type {string} */ kind) => roomUrl(world.server.url, room, `?transport=${kind}`);
  const people = await Promise.all(KINDS.map((kind, i) => world.browser.visit(url(kind), { name: names[i] })));
  await Promise.all(people.map(live));
  const [websocket, sse, longpoll, poll] = people;

  await say(websocket, "Hello, who is here?");
  await say(sse, "你好，世界！");
  await say(longpoll, "שלום 🎉👩‍👩‍👧");
  await say(poll, "a slow hello\n第二行");
  await say(sse, "tpyo");
  await say(longpoll, "said too soon");
  await message(poll, "你好，世界！").waitFor();
  await choose(poll, "你好，世界！", "Reply");
  await say(poll, "你好！");
  await choose(sse, "tpyo", "Edit");
  await write(sse, "typo ✏️");
  await choose(longpoll, "said too soon", "Delete");
  await longpoll.getByRole("menuitem", { name: "Delete" }).click();
  await message(websocket, "a slow hello").waitFor();
  await choose(websocket, "a slow hello", "React with 👍");
  await message(sse, "a slow hello").waitFor();
  await choose(sse, "a slow hello", "React with 👍");
  await choose(poll, "Hello, who is here?", "React with 🎉");
  const own = message(poll, "Hello, who is here?").getByRole("button", { name: "🎉: 1, you too" });
  await own.click();
  await own.waitFor({ state: "detached" });
  await say(websocket, "done");

  // "done" comes after what the poll and the socket did; the others' last changes are waited for.
  for (const page of people) {
    await message(page, "done").waitFor();
    await page.locator(".reaction", { hasText: "👍 2" }).waitFor();
    await page.locator(".gone").waitFor();
    await message(page, "typo ✏️").getByText("edited").waitFor();
  }
  const answer = await fetch(`${world.server.url}/api/rooms/${encodeURIComponent(room)}/messages`);
  const { messages } = await answer.json();
  const wanted = expected(messages.sort((/** @type {any} */ a, /** @type {any} */ b) => a.seq - b.seq));
  assert.equal(wanted.length, 8);
  assert.deepEqual(wanted.map(({ author }) => author), [...names, names[1], names[2], names[3], names[0]]);
  assert.deepEqual(wanted.filter(({ deleted }) => deleted).map(({ seq }) => seq), [6]);
  assert.deepEqual(wanted.filter(({ edited }) => edited).map(({ text }) => text), ["typo ✏️"]);
  assert.deepEqual(wanted.filter(({ quote }) => quote).map(({ quote }) => quote), ["林小明 你好，世界！"]);
  assert.deepEqual(wanted.flatMap(({ reactions }) => reactions), ["👍 2"]);
  for (const [i, page] of people.entries()) {
    assert.deepEqual(await shown(page), wanted, `by ${KINDS[i]}`);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Conversation } from "../../web/conversation.js";

const ana = { id: "m-1", name: "Ana" };
const ben = { id: "m-2", name: "Ben" };
const view = (seq, text = `message ${seq}`) => ({ seq, id: `c-${seq}`, from: ana, at: "", text });
const page = (...messages) => ({ epoch: "e", seq: 10, messages });

test("reactions are counted by person and keep the order in which they first came", () => {
  const talk = new Conversation();
  talk.reset(page(view(1)));
  const react = (from, emoji, on) => talk.change({ type: "chat.reacted", room: "r", from, at: "", target: 1, emoji, on });
  react(ana, "👍", true);
  react(ben, "🎉", true);
  react(ben, "👍", true);
  react(ben, "👍", true);
  assert.deepEqual(talk.get(1)?.reactions, [
    { emoji: "👍", members: ["m-1", "m-2"] },
    { emoji: "🎉", members: ["m-2"] },
  ]);
  react(ben, "🎉", false);
  assert.deepEqual(talk.get(1)?.reactions, [{ emoji: "👍", members: ["m-1", "m-2"] }]);
});

test("a change that was faster than the page it belongs to is not lost", () => {
  const talk = new Conversation();
  talk.reset(page(view(9)));
  talk.change({ type: "chat.edited", room: "r", seq: 11, from: ana, at: "later", target: 3, text: "mended" });
  talk.prepend([view(2), view(3), view(9)]);
  assert.deepEqual(talk.messages.map(({ text }) => text), ["message 2", "mended", "message 9"]);
});

test("a deleted message keeps its place and loses its text", () => {
  const talk = new Conversation();
  talk.reset(page(view(1), view(2)));
  talk.change({ type: "chat.deleted", room: "r", from: ana, at: "", target: 1 });
  assert.deepEqual(talk.messages.map(({ text, deleted }) => [text, deleted]), [["", true], ["message 2", undefined]]);
});

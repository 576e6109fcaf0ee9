import assert from "node:assert/strict";
import { test } from "node:test";
import { pathOf, suggestName } from "../../web/room-name.js";

test("a wish becomes the nearest name a room can have", () => {
  assert.equal(suggestName(" My room! "), "My-room");
  assert.equal(suggestName("#大厅"), "大厅");
  assert.equal(suggestName("a/b c"), "a-b-c");
  assert.equal(suggestName("นี่"), "นี่");
  assert.equal(suggestName("e\u0301"), "é");
  assert.equal(suggestName("x".repeat(70)).length, 64);
});

test("what has neither letter nor digit is no name", () => {
  for (const wish of ["", " ", "..", "!?", "🎉"]) assert.equal(suggestName(wish), "");
});

test("a name of any script is a path", () => {
  assert.equal(pathOf("大厅"), "/room/%E5%A4%A7%E5%8E%85/");
});

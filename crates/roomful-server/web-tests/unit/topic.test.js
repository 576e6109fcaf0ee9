import assert from "node:assert/strict";
import { test } from "node:test";
import { Topic } from "../../web/topic.js";

test("an older topic that arrives late changes nothing", () => {
  const topic = new Topic();
  assert.equal(topic.learn("new", { epoch: "e", seq: 7 }), true);
  assert.equal(topic.learn("old", { epoch: "e", seq: 3 }), false);
  assert.equal(topic.text, "new");
});

test("a new epoch begins to count anew, and without numbers the last word counts", () => {
  const topic = new Topic();
  topic.learn("of the old life", { epoch: "e", seq: 100 });
  assert.equal(topic.learn("of the new one", { epoch: "f", seq: 1 }), true);
  assert.equal(topic.learn("first", { epoch: null, seq: null }), true);
  assert.equal(topic.learn("second", { epoch: null, seq: null }), true);
  assert.equal(topic.text, "second");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { RoomLog } from "../../web/log.js";

/** A server's log, and a reader of it. */
function reading({ length = 0 } = {}) {
  const stored = Array.from({ length }, (_, i) => event(i + 1));
  const api = {
    epoch: "e1",
    stored,
    requests: 0,
    async events({ after }) {
      api.requests += 1;
      const events = stored.slice(after, after + 100);
      return { epoch: api.epoch, seq: after + events.length, head: stored.length, recovered: after <= stored.length, events };
    },
    async messages() {
      return { epoch: api.epoch, seq: stored.length, messages: [] };
    },
  };
  const delivered = [];
  const restarts = [];
  const log = new RoomLog(/** @type {any} */ (api), (one) => delivered.push(one.seq), (page, before) => restarts.push(before));
  return { api, log, delivered, restarts };
}

const event = (seq) => ({ type: "chat.message", room: "r", seq, id: `c-${seq}`, from: { id: "m", name: "" }, at: "", text: "" });

test("events in order are delivered as they come, repeats are not", async () => {
  const { log, delivered } = reading();
  await log.restart();
  for (const seq of [1, 2, 2, 1, 3]) log.take(event(seq));
  assert.deepEqual(delivered, [1, 2, 3]);
});

test("a hole is filled before anything after it is delivered", async () => {
  const { api, log, delivered } = reading();
  await log.restart();
  api.stored.push(event(1), event(2), event(3), event(4));
  log.take(event(1));
  const filling = log.take(event(4));
  log.take(event(3));
  assert.deepEqual(delivered, [1]);
  await filling;
  assert.deepEqual(delivered, [1, 2, 3, 4]);
});

test("what comes while a hole is filled is delivered after it, even if the answer was older", async () => {
  const { api, log, delivered } = reading();
  await log.restart();
  api.stored.push(event(1), event(2));
  const filling = log.take(event(2));
  // Stored after the answer was read, and announced out of order.
  queueMicrotask(() => api.stored.push(event(3), event(4)));
  log.take(event(4));
  await filling;
  assert.deepEqual(delivered, [1, 2, 3, 4]);
});

test("any order and any repeats give the same list, for a thousand random walks", async () => {
  for (let walk = 0; walk < 1000; walk += 1) {
    const { api, log, delivered } = reading();
    await log.restart();
    const length = 1 + Math.floor(Math.random() * 30);
    const coming = [];
    for (let seq = 1; seq <= length; seq += 1) {
      api.stored.push(event(seq));
      if (Math.random() < 0.8) coming.splice(Math.floor(Math.random() * (coming.length + 1)), 0, seq);
      if (Math.random() < 0.2) coming.push(seq);
    }
    const fillings = coming.map((seq) => log.take(event(seq)));
    await Promise.all(fillings);
    await log.catchUp();
    assert.deepEqual(delivered, Array.from({ length }, (_, i) => i + 1), `walk ${walk}: ${coming}`);
  }
});

test("another epoch, or more than can be told, begins anew with the newest page", async () => {
  const { api, log, delivered, restarts } = reading({ length: 3 });
  await log.restart();
  api.epoch = "e2";
  await log.catchUp();
  assert.deepEqual(restarts, [null, { epoch: "e1", seq: 3 }]);

  for (let seq = 4; seq <= 600; seq += 1) api.stored.push(event(seq));
  await log.catchUp();
  assert.equal(restarts.length, 3);
  assert.deepEqual(delivered, []);
  assert.equal(log.position?.seq, 600);
});

test("a hole that the server cannot fill is an error, not a loop", async () => {
  const { api, log } = reading();
  await log.restart();
  await assert.rejects(async () => log.take(event(5)), /hole/);
  assert.ok(api.requests < 5);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStreamParser } from "../../web/transport/sse.js";

const STREAM = ": hello\nretry: 2000\ndata: one\n\nid: e:1\r\ndata: two\r\ndata:  more\r\n\r\ndata\n\nevent: x\ndata:three\n\ndata: unfinished";

test("a stream gives the same events however it is cut", () => {
  for (let size = 1; size < STREAM.length; size += 1) {
    const events = [];
    const parser = new EventStreamParser((data) => events.push(data));
    for (let i = 0; i < STREAM.length; i += size) parser.push(STREAM.slice(i, i + size));
    assert.deepEqual(events, ["one", "two\n more", "", "three"], `pieces of ${size}`);
  }
});

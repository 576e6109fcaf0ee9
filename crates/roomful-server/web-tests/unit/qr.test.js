import jsqr from "jsqr";
import assert from "node:assert/strict";
import { test } from "node:test";
import { qrCode } from "../../web/qr.js";

const decode = /** @type {typeof jsqr} */ (/** @type {any} */ (jsqr).default ?? jsqr);

/** What an independent reader finds in the picture of a code. @param {boolean[][]} code */
function read(code) {
  const [scale, quiet] = [4, 4];
  const side = (code.length + 2 * quiet) * scale;
  const pixels = new Uint8ClampedArray(side * side * 4).fill(255);
  code.forEach((row, y) =>
    row.forEach((dark, x) => {
      if (!dark) return;
      for (let dy = 0; dy < scale; dy += 1) {
        for (let dx = 0; dx < scale; dx += 1) {
          const at = (((y + quiet) * scale + dy) * side + (x + quiet) * scale + dx) * 4;
          pixels.fill(0, at, at + 3);
        }
      }
    }),
  );
  return decode(pixels, side, side);
}

test("a link is read as it was written", () => {
  for (const link of [
    "https://chat.example.org/room/123/",
    "http://127.0.0.1:8000/room/%E8%AF%BB%E4%B9%A6%E4%BC%9A/",
    "x",
    "",
  ]) {
    const found = read(/** @type {boolean[][]} */ (qrCode(link)));
    assert.equal(found?.data, link);
  }
});

test("every length from nothing to what version 10 holds is read, each in the smallest version", () => {
  const most = [14, 26, 42, 62, 84, 106, 122, 152, 180, 213];
  for (let length = 0; length <= 213; length += 1) {
    const text = Array.from({ length }, (_, at) => String.fromCharCode(33 + ((at * 31 + length * 7) % 94))).join("");
    const code = /** @type {boolean[][]} */ (qrCode(text));
    const version = most.findIndex((bytes) => length <= bytes) + 1;
    assert.equal(code.length, 17 + 4 * version, `${length} bytes`);
    const found = read(code);
    assert.equal(found?.data, text, `${length} bytes`);
    assert.equal(found?.version, version);
  }
});

test("other scripts are read, and what is too long is not written", () => {
  const text = "房间 🎉 ".repeat(8).trim();
  const found = read(/** @type {boolean[][]} */ (qrCode(text)));
  assert.equal(new TextDecoder().decode(Uint8Array.from(found?.binaryData ?? [])), text);
  assert.equal(qrCode("a".repeat(214)), null);
  assert.equal(qrCode("房".repeat(72)), null);
});

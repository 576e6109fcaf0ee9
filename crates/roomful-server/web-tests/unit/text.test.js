import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = /** @type {any} */ ({
  createElement: () => {
    const element = { href: "", setAttribute: (name, value) => (element[name] = value), append: () => {} };
    return element;
  },
});
const { isOnlyEmoji, linked } = await import("../../web/text.js");

const links = (text) => linked(text).filter((node) => typeof node !== "string").map((node) => node.href);

test("addresses become links without the sentence around them", () => {
  assert.deepEqual(links("see https://a.example/b, or http://c.example."), ["https://a.example/b", "http://c.example/"]);
  assert.deepEqual(links("(https://a.example/b_(c))"), ["https://a.example/b_(c)"]);
  assert.deepEqual(links("看https://a.example/b好，也看 https://a.example/c。"), ["https://a.example/b", "https://a.example/c"]);
});

test("nothing but http and https is a link", () => {
  assert.deepEqual(links("javascript:alert(1) data:text/html,x ftp://a.example vbscript:x //a.example https://"), []);
});

test("a few emoji alone are drawn large, digits are not emoji", () => {
  assert.equal(isOnlyEmoji("🎉👩‍👩‍👧 👍🏽"), true);
  assert.equal(isOnlyEmoji("🇨🇳"), true);
  assert.equal(isOnlyEmoji("123"), false);
  assert.equal(isOnlyEmoji("🎉!"), false);
  assert.equal(isOnlyEmoji("🎉🎉🎉🎉🎉🎉🎉"), false);
});

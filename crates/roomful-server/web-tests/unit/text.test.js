import assert from "node:assert/strict";
import { test } from "node:test";

/** As much of a document as a message needs. */
class Element {
  attributes = {};
  children = [];
  constructor(tag) {
    this.tag = tag;
  }
  setAttribute(name, value) {
    this.attributes[name] = value;
  }
  append(...children) {
    this.children.push(...children);
  }
  get textContent() {
    return this.children.map((child) => child.textContent ?? child).join("");
  }
  get all() {
    return [this, ...this.children.flatMap((child) => child.all ?? [])];
  }
}
globalThis.document = /** @type {any} */ ({ createElement: (/** @type {string} */ tag) => new Element(tag) });
const { isOnlyEmoji, plainOf, textOf } = await import("../../web/text.js");

const names = /** @type {any} */ ({ has: (name) => name === "Ana" || name === "Ben", isMine: (name) => name === "Ana" });
const drawn = (/** @type {string} */ text) => /** @type {any} */ (textOf(text, names));

test("links open elsewhere and tell nothing of this page", () => {
  const [link] = drawn("see https://a.example/ and").all.filter(({ tag }) => tag === "a");
  assert.deepEqual(link.attributes, { href: "https://a.example/", target: "_blank", rel: "noopener noreferrer nofollow ugc" });
});

test("one's own name is marked, other names are shown as names", () => {
  const mentions = drawn("@Ana and @Ben").all.filter(({ tag }) => tag === "bdi");
  assert.deepEqual(mentions.map(({ attributes, textContent }) => [attributes.class, textContent]), [["mention mine", "@Ana"], ["mention", "@Ben"]]);
});

test("each paragraph finds its own direction, and code none", () => {
  const directions = drawn("שלום\n> hi\n- a\n```\ncode\n```").all.map(({ tag, attributes }) => [tag, attributes.dir]);
  assert.deepEqual(directions.filter(([, dir]) => dir), [["p", "auto"], ["blockquote", "auto"], ["p", "auto"], ["li", "auto"], ["pre", "ltr"]]);
});

test("markup is text, however it is written", () => {
  const attempts = ["<script>alert(1)</script>", "**<img src=x onerror=1>**", "[<b>](https://a.example)", "```\n</code><script>\n```", "> <iframe>"];
  for (const attempt of attempts) {
    const tags = new Set(drawn(attempt).all.map(({ tag }) => tag));
    for (const tag of ["script", "img", "iframe", "svg"]) assert.equal(tags.has(tag), false, attempt);
    assert.match(drawn(attempt).textContent, /</);
  }
});

test("a quote is one line without marks", () => {
  assert.equal(plainOf("**a** `b`\n- c\n- d\n[e](https://f.example)"), "a b c d e");
});

test("a few emoji alone are drawn large, digits are not emoji", () => {
  assert.equal(isOnlyEmoji("🎉👩‍👩‍👧 👍🏽"), true);
  assert.equal(isOnlyEmoji("🇨🇳"), true);
  assert.equal(isOnlyEmoji("123"), false);
  assert.equal(isOnlyEmoji("🎉!"), false);
  assert.equal(isOnlyEmoji("🎉🎉🎉🎉🎉🎉🎉"), false);
});

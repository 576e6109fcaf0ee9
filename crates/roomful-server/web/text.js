/**
 * What somebody wrote, as nodes of the page. Every tag and attribute there is stands in this file.
 */

/** @import { Branch, Branches } from "./markdown.js" */
/** @import { Names } from "./names-here.js" */
import { h } from "./dom.js";
import { parse } from "./markdown.js";

const EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\ufe0f\u20e3\s])+$/u;

/** @param {string} text @param {Names} names @returns {HTMLElement} */
export function textOf(text, names) {
  const large = isOnlyEmoji(text) ? " large" : "";
  return h("div", { class: `text${large}` }, ...nodes(parse(text, names.has), names));
}

/** @param {Branches} branches @param {Names} names @returns {(Node | string)[]} */
function nodes(branches, names) {
  return branches.map((branch) => (typeof branch === "string" ? branch : node(branch, names)));
}

/** @param {Branch} branch @param {Names} names @returns {Node} */
function node({ tag, href, start, children }, names) {
  const inside = nodes(children, names);
  switch (tag) {
    case "a":
      return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow ugc" }, ...inside);
    case "mention":
      return h("bdi", { class: names.isMine(String(children[0]).slice(1)) ? "mention mine" : "mention" }, ...inside);
    case "ol":
      return h("ol", { start }, ...inside);
    case "pre":
      // Long lines scroll, by keyboard too.
      return h("pre", { dir: "ltr", tabindex: "0" }, ...inside);
    case "p":
    case "li":
    case "blockquote":
      return h(tag, { dir: "auto" }, ...inside);
    default:
      return h(tag, {}, ...inside);
  }
}

/** @param {string} text @returns {string} in one line and without marks, for a quote or a notification */
export function plainOf(text) {
  /** @type {(branch: Branch | string) => string} */
  const words = (branch) => (typeof branch === "string" ? branch : branch.children.map(words).join(branch.tag.endsWith("l") ? " " : ""));
  return parse(text).map(words).join(" ");
}

/** @param {string} text @returns {boolean} up to six emoji and nothing else: drawn large */
export function isOnlyEmoji(text) {
  if (text.length > 60 || !EMOJI.test(text)) return false;
  const drawn = text.replace(/\s/g, "");
  const parts = "Segmenter" in Intl ? [...new Intl.Segmenter().segment(drawn)].length : drawn.length / 2;
  return parts > 0 && parts <= 6;
}

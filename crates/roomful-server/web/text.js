/**
 * What somebody wrote, as nodes: text, and links where it has http or https addresses. No markup.
 */
import { h } from "./dom.js";

/** An address ends at white space, at quotes, and at anything that is not ASCII: 「看https://a.example/b好」. */
const ADDRESS = /\bhttps?:\/\/[!#-;=?-_a-z~]+/gi;
/** Punctuation at the end belongs to the sentence, not to the address. */
const TRAILING = /[.,:;!?'"*_~]+$/;
const EMOJI = /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\ufe0f\u20e3\s])+$/u;

/** @param {string} text @returns {(Node | string)[]} */
export function linked(text) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  let done = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    const url = URL.canParse(address) ? new URL(address) : null;
    if (url === null || url.hostname === "") continue;
    nodes.push(text.slice(done, match.index));
    nodes.push(h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow ugc" }, address));
    done = match.index + address.length;
  }
  nodes.push(text.slice(done));
  return nodes.filter((node) => node !== "");
}

/** @param {string} text @returns {boolean} up to six emoji and nothing else: drawn large */
export function isOnlyEmoji(text) {
  if (text.length > 60 || !EMOJI.test(text)) return false;
  const drawn = text.replace(/\s/g, "");
  const parts = "Segmenter" in Intl ? [...new Intl.Segmenter().segment(drawn)].length : drawn.length / 2;
  return parts > 0 && parts <= 6;
}

/** @param {string} address @returns {string} */
function trimmed(address) {
  const without = address.replace(TRAILING, "");
  // A closing parenthesis belongs to the address only where it was opened there: (see https://a.example/b_(c)).
  const unopened = without.endsWith(")") && without.split("(").length < without.split(")").length;
  return unopened ? trimmed(without.slice(0, -1)) : without;
}

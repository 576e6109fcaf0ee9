/**
 * Addresses in what somebody wrote: where one begins and ends, and whether it may be a link at all.
 */

const SCHEMES = ["http:", "https:", "mailto:"];
/** An address ends at white space, at quotes, and at anything that is not ASCII: 「看https://a.example/b好」. */
const ADDRESS = /(?:https?:\/\/|mailto:)[!#-;=?-Z\\^_a-z|~]+/iy;
/** Punctuation at the end belongs to the sentence, not to the address. */
const TRAILING = ".,:;!?'*_~";

/** @param {string} text @param {number} at @returns {string} the address that begins here; empty where none does */
export function addressAt(text, at) {
  ADDRESS.lastIndex = at;
  const found = ADDRESS.exec(text)?.[0] ?? "";
  let unopened = 0;
  for (const char of found) unopened += char === ")" ? 1 : char === "(" ? -1 : 0;
  let end = found.length;
  for (; end > 0; end -= 1) {
    // A closing parenthesis belongs to the address only where it was opened there: (see https://a.example/b_(c)).
    if (found[end - 1] === ")" && unopened > 0) unopened -= 1;
    else if (!TRAILING.includes(found[end - 1])) break;
  }
  return found.slice(0, end);
}

/** Where the `)` is that ends an address. @param {string} text @param {number} at @returns {number | null} */
export function addressEnd(text, at) {
  for (let depth = 0, end = at; end < text.length; end += 1) {
    const char = text[end];
    if (char === "(") depth += 1;
    else if (char === ")" && depth === 0) return end;
    else if (char === ")") depth -= 1;
    // At brackets too: no part of the text is looked through twice.
    else if (/[\s<>[\]]/.test(char)) return null;
  }
  return null;
}

/** @param {string} address @returns {string | null} as it goes into a link; `null` where it may not */
export function safe(address) {
  if (!/^(?:https?:\/\/|mailto:)./i.test(address) || !URL.canParse(address)) return null;
  const { protocol, hostname, pathname, href } = new URL(address);
  const whole = protocol === "mailto:" ? pathname.includes("@") : hostname !== "";
  return whole && SCHEMES.includes(protocol) ? href : null;
}

/**
 * Marks within a paragraph. Opening ones wait on a short stack for their closing ones; what stays unclosed is the text
 * it is.
 */

/** @import { Branch, Branches, Tag } from "./markdown.js" */
import { addressAt, addressEnd, safe } from "./address.js";

/** @typedef {{ marker: string, children: Branches, spent?: boolean }} Frame an opening mark that waits for its closing one */

const MARKS_DEEP = 8;
const LONGEST_NAME = 32;
/** What may begin a mark or an address; all else is passed over in one go. */
const PLAIN = /[^\\`*_~[\]@hHmM]+/y;
const ESCAPED = /[\\`*_~[\]@>/#+.\-()]/;
const TAGS = /** @type {Record<string, Tag>} */ ({ "**": "b", "*": "i", _: "i", "~~": "s" });

/** @param {string} text @param {(name: string) => boolean} isName @returns {Branches} */
export function inline(text, isName) {
  /** @type {Frame[]} the first is the paragraph itself */
  const frames = [{ marker: "", children: [] }];
  /** Lengths of backtick runs that are known not to come again. */
  const noCode = new Set();
  const put = (/** @type {Branch | string} */ child) => frames[frames.length - 1].children.push(child);
  let at = 0;
  while (at < text.length) {
    PLAIN.lastIndex = at;
    if (PLAIN.test(text)) {
      put(text.slice(at, PLAIN.lastIndex));
      at = PLAIN.lastIndex;
      continue;
    }
    at = mark(text, at, frames, noCode, isName) ?? (put(text[at]), at + 1);
  }
  while (frames.length > 1) fold(frames);
  return joined(frames[0].children);
}

/**
 * @param {string} text @param {number} at @param {Frame[]} frames @param {Set<number>} noCode
 * @param {(name: string) => boolean} isName
 * @returns {number | null} where to go on, or `null` where this character is only itself
 */
function mark(text, at, frames, noCode, isName) {
  const put = (/** @type {Branch | string} */ child) => frames[frames.length - 1].children.push(child);
  switch (text[at]) {
    case "\\":
      if (!ESCAPED.test(text[at + 1] ?? "")) return null;
      put(text[at + 1]);
      return at + 2;
    case "`": {
      const run = runAt(text, at);
      const end = run > 3 || noCode.has(run) ? -1 : closingRun(text, at + run, run);
      if (end < 0) {
        noCode.add(run);
        put(text.slice(at, at + run));
        return at + run;
      }
      put({ tag: "code", children: [text.slice(at + run, end)] });
      return end + run;
    }
    case "*":
    case "_":
    case "~":
      return emphasis(text, at, frames);
    case "[":
      open(frames, "[");
      return at + 1;
    case "]":
      return link(text, at, frames);
    case "@": {
      const end = isAscii(text[at - 1] ?? "") ? at : nameEnd(text, at + 1, isName);
      if (end === at) return null;
      put({ tag: "mention", children: [text.slice(at, end)] });
      return end;
    }
    default: {
      const address = isAscii(text[at - 1] ?? "") ? "" : addressAt(text, at);
      if (address === "") return null;
      const href = safe(address);
      put(href === null ? address : { tag: "a", href, children: [address] });
      return at + address.length;
    }
  }
}

/** Marks that stand in pairs around words. @param {string} text @param {number} at @param {Frame[]} frames */
function emphasis(text, at, frames) {
  const char = text[at];
  const run = runAt(text, at);
  const before = text[at - 1] ?? " ";
  const after = text[at + run] ?? " ";
  // `***both***` is two marks; more of them are a line of stars.
  const markers = run === 3 && char === "*" ? ["**", "*"] : [char.repeat(run)];
  const known = markers.every((marker) => marker in TAGS);
  // In 2*3*4 and snake_case they stand for themselves; 这是**重点** has no spaces to go by.
  const inWord = run === 1 && isAscii(before) && isAscii(after);
  const opens = known && !inWord && !/\s/.test(after) && !(run === 1 && isAscii(before));
  const closing = known && !inWord && !/\s/.test(before) && !(run === 1 && isAscii(after));
  if (closing && markers.every((marker) => frames.some((frame) => frame.marker === marker))) {
    // The one that was opened last closes first.
    const depth = (/** @type {string} */ marker) => frames.findLastIndex((frame) => frame.marker === marker);
    for (const marker of markers.sort((a, b) => depth(b) - depth(a))) close(frames, marker);
  } else if (opens) {
    for (const marker of markers) open(frames, marker);
  } else {
    frames[frames.length - 1].children.push(text.slice(at, at + run));
  }
  return at + run;
}

/** @param {Frame[]} frames @param {string} marker */
function open(frames, marker) {
  frames.push({ marker, children: [] });
  // Too deep: the outermost of them is the character it is.
  if (frames.length > MARKS_DEEP + 1) {
    const [outer] = frames.splice(1, 1);
    merge(frames[0].children, outer);
  }
}

/** @param {Frame[]} frames @param {string} marker */
function close(frames, marker) {
  if (!frames.some((frame) => frame.marker === marker)) return frames[frames.length - 1].children.push(marker);
  while (frames[frames.length - 1].marker !== marker) fold(frames);
  const { children } = /** @type {Frame} */ (frames.pop());
  const parent = frames[frames.length - 1].children;
  return parent.push(children.length > 0 ? { tag: TAGS[marker], children: joined(children) } : marker + marker);
}

/** The last opening mark was none. @param {Frame[]} frames */
function fold(frames) {
  const frame = /** @type {Frame} */ (frames.pop());
  merge(frames[frames.length - 1].children, frame);
}

/** @param {Branches} children @param {Frame} frame */
function merge(children, frame) {
  children.push(frame.marker);
  // Not `push(...)`: there may be more of them than a call takes.
  for (const child of frame.children) children.push(child);
}

/** At `](`: a link, if its address may be one. @param {string} text @param {number} at @param {Frame[]} frames */
function link(text, at, frames) {
  const opened = frames.findLast((frame) => frame.marker === "[");
  if (opened === undefined || opened.spent || text[at + 1] !== "(") return null;
  const end = addressEnd(text, at + 2);
  const href = end === null ? null : safe(text.slice(at + 2, end));
  if (end === null || href === null) return null;
  while (frames[frames.length - 1] !== opened) fold(frames);
  frames.pop();
  const words = joined(opened.children.flatMap(unlinked));
  if (words.length === 0) words.push(text.slice(at + 2, end));
  frames[frames.length - 1].children.push({ tag: "a", href, children: words });
  // A link has no link within.
  for (const frame of frames) if (frame.marker === "[") frame.spent = true;
  return end + 1;
}

/** @param {Branch | string} branch @returns {Branches} what it is within a link */
function unlinked(branch) {
  if (typeof branch === "string") return [branch];
  const children = branch.children.flatMap(unlinked);
  return branch.tag === "a" || branch.tag === "mention" ? children : [{ ...branch, children }];
}

/** The longest name that begins here. @param {string} text @param {number} at @param {(name: string) => boolean} isName */
function nameEnd(text, at, isName) {
  const next = text.slice(at, at + LONGEST_NAME).search(/[@\n]/);
  for (let end = Math.min(text.length, at + (next < 0 ? LONGEST_NAME : next)); end > at; end -= 1) {
    // 「@Anna」 is not 「@Ann」 and an a; 「@林小明你好」 is 林小明 and a greeting.
    const cut = isAscii(text[end - 1]) && isAscii(text[end] ?? " ");
    if (!cut && isName(text.slice(at, end))) return end;
  }
  return at - 1;
}

/** @param {string} text @param {number} at how often the character here is repeated */
function runAt(text, at) {
  let end = at + 1;
  while (text[end] === text[at]) end += 1;
  return end - at;
}

/** @param {string} text @param {number} at @param {number} length @returns {number} where a run of exactly so many begins */
function closingRun(text, at, length) {
  for (let next = text.indexOf("`", at); next >= 0; ) {
    const run = runAt(text, next);
    if (run === length) return next;
    next = text.indexOf("`", next + run);
  }
  return -1;
}

/** @param {string} char a letter or digit of ASCII */
const isAscii = (char) => /[A-Za-z0-9]/.test(char);

/** @param {Branches} children @returns {Branches} with neighbouring strings as one */
function joined(children) {
  /** @type {Branches} */
  const out = [];
  /** @type {string[]} */
  let words = [];
  const end = () => words.length > 0 && (out.push(words.join("")), (words = []));
  for (const child of children) {
    if (typeof child === "string") words.push(child);
    else end(), out.push(child);
  }
  end();
  return out;
}

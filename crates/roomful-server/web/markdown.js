/**
 * What somebody wrote, as a tree: text, and a few marks. No page is needed to read it, and no string becomes markup.
 *
 * The subset: `**bold**`, `*italic*` and `_italic_`, `~~strike~~`, `` `code` ``, fences, `>` quotes, `-` and `1.` lists,
 * `[words](address)`, bare addresses, `@name` of people who are known here, and `\` before a mark. Everything else is the
 * text it is. One pass from left to right: the time grows with the length, the depth of the tree is bounded.
 */
import { inline } from "./inline.js";

/** @typedef {"b" | "i" | "s" | "code" | "pre" | "p" | "blockquote" | "ul" | "ol" | "li" | "a" | "mention"} Tag */
/** @typedef {{ tag: Tag, href?: string, start?: number, children: (Branch | string)[] }} Branch */
/** @typedef {(Branch | string)[]} Branches */

/** Quotes within quotes. */
const QUOTES_DEEP = 3;
const FENCE = /^ {0,3}(`{3,}|~{3,})[^`]*$/;
const QUOTE = /^ {0,3}> ?/;
const BULLET = /^ {0,3}[-*+] +(?=\S)/;
const NUMBER = /^ {0,3}(\d{1,3})[.)] +(?=\S)/;

/**
 * @param {string} text
 * @param {(name: string) => boolean} [isName] whether somebody here is called so
 * @returns {Branch[]} blocks
 */
export function parse(text, isName = () => false) {
  return blocks(text.split("\n"), isName, 0);
}

/** @param {string[]} lines @param {(name: string) => boolean} isName @param {number} depth @returns {Branch[]} */
function blocks(lines, isName, depth) {
  /** @type {Branch[]} */
  const out = [];
  /** @type {string[]} */
  let plain = [];
  const endParagraph = () => {
    // Blank lines within are kept as they were written; those at the rims belong to nobody.
    const words = plain.join("\n").replace(/^\n+/, "").trimEnd();
    if (words !== "") out.push({ tag: "p", children: inline(words, isName) });
    plain = [];
  };
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const fence = FENCE.exec(line)?.[1];
    const kind = fence ? "fence" : QUOTE.test(line) && depth < QUOTES_DEEP ? "quote" : markOf(line);
    if (kind === null) {
      plain.push(line);
      at += 1;
      continue;
    }
    endParagraph();
    const from = at;
    if (fence) {
      at += 1;
      while (at < lines.length && !closes(lines[at], fence)) at += 1;
      out.push({ tag: "pre", children: [{ tag: "code", children: [lines.slice(from + 1, at).join("\n")] }] });
      at += 1;
    } else if (kind === "quote") {
      while (at < lines.length && QUOTE.test(lines[at])) at += 1;
      const inside = lines.slice(from, at).map((quoted) => quoted.replace(QUOTE, ""));
      out.push({ tag: "blockquote", children: blocks(inside, isName, depth + 1) });
    } else {
      while (at < lines.length && markOf(lines[at]) === kind) at += 1;
      out.push(list(kind, lines.slice(from, at), isName));
    }
  }
  endParagraph();
  return out;
}

/** @param {string} line @returns {"ul" | "ol" | null} */
function markOf(line) {
  return BULLET.test(line) ? "ul" : NUMBER.test(line) ? "ol" : null;
}

/** @param {string} line @param {string} fence */
function closes(line, fence) {
  const bare = line.trim();
  return bare.startsWith(fence) && bare === fence[0].repeat(bare.length);
}

/** @param {string} tag @param {string[]} lines @param {(name: string) => boolean} isName @returns {Branch} */
function list(tag, lines, isName) {
  const mark = tag === "ul" ? BULLET : NUMBER;
  const start = tag === "ol" ? Number(mark.exec(lines[0])?.[1]) : undefined;
  const items = lines.map((line) => ({ tag: /** @type {Tag} */ ("li"), children: inline(line.replace(mark, ""), isName) }));
  return { tag: /** @type {Tag} */ (tag), start, children: items };
}

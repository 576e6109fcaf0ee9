/**
 * The names that `@` can call here: of those who are in the room, and of those who said something that is on the page.
 */

/** @import { Member } from "./types.js" */
import { parse } from "./markdown.js";

export class Names {
  /** What this person is called. */
  mine = "";
  /** @type {Map<string, string>} as they are written, by how they are compared */
  #known = new Map();

  /** @param {Member[]} members */
  learn(members) {
    for (const { name } of members) if (name !== "") this.#known.set(fold(name), name);
  }

  has = (/** @type {string} */ name) => this.#known.has(fold(name)) || this.isMine(name);

  /** @param {string} name */
  isMine(name) {
    return this.mine !== "" && fold(name) === fold(this.mine);
  }

  /** @param {string} text @returns {boolean} whether it calls this person */
  callsMe(text) {
    if (!text.includes("@")) return false;
    /** @type {(branch: import("./markdown.js").Branch | string) => boolean} */
    const calls = (branch) =>
      typeof branch !== "string" &&
      (branch.tag === "mention" ? this.isMine(String(branch.children[0]).slice(1)) : branch.children.some(calls));
    return parse(text, this.has).some(calls);
  }

  /** Others whose name, or a word of it, begins so. @param {string} beginning @param {number} most @returns {string[]} */
  beginningWith(beginning, most) {
    const wanted = fold(beginning);
    const fits = (/** @type {string} */ known) => known.startsWith(wanted) || known.includes(` ${wanted}`);
    const found = [...this.#known].filter(([known, name]) => fits(known) && !this.isMine(name));
    return found.map(([, name]) => name).sort((a, b) => a.localeCompare(b)).slice(0, most);
  }
}

/** @param {string} name */
const fold = (name) => name.normalize().toLowerCase();

/**
 * Who is in the room. The first hundred are known by name; beyond that there is the count.
 */

/** @import { Member } from "./types.js" */

export class Members {
  /** @type {Map<string, Member>} */
  #known = new Map();
  #count = 0;

  get count() {
    return this.#count;
  }

  /** @returns {Member[]} */
  all() {
    return [...this.#known.values()];
  }

  /** @param {Member[]} members @param {number} count */
  replace(members, count) {
    this.#known = new Map(members.map((member) => [member.id, member]));
    this.#count = Math.max(count, members.length);
  }

  /** @param {Member} member */
  join(member) {
    if (!this.#known.has(member.id)) this.#count += 1;
    this.#known.set(member.id, member);
  }

  /** @param {Member} member */
  leave(member) {
    this.#known.delete(member.id);
    this.#count = Math.max(this.#known.size, this.#count - 1);
  }

  /** @param {Member} member */
  rename(member) {
    if (this.#known.has(member.id)) this.#known.set(member.id, member);
  }
}

/**
 * Who is typing: true for five seconds after it was last said, and until they have said it.
 */

/** @import { Member } from "./types.js" */
import { byId } from "./dom.js";
import { listOf, t } from "./i18n.js";

const TRUE_FOR_MS = 5_000;
const NAMED = 3;

export class TypingLine {
  #line = byId("typing", HTMLElement);
  /** @type {Map<string, { name: string, timer: number }>} */
  #typing = new Map();

  /** @param {Member} member */
  types({ id, name }) {
    clearTimeout(this.#typing.get(id)?.timer);
    const timer = setTimeout(() => this.stopped(id), TRUE_FOR_MS);
    this.#typing.set(id, { name, timer });
    this.#draw();
  }

  /** @param {string} id */
  stopped(id) {
    clearTimeout(this.#typing.get(id)?.timer);
    if (this.#typing.delete(id)) this.#draw();
  }

  #draw() {
    // Isolated by characters where elements cannot be: a name may be written from right to left.
    const names = [...this.#typing.values()].map(({ name }) => `\u2068${name}\u2069`);
    const some = names.length > 0 && names.length <= NAMED;
    if (some) this.#line.textContent = t("typing", { names: listOf(names), count: names.length });
    else this.#line.textContent = names.length > 0 ? t("typing_many") : "";
  }
}

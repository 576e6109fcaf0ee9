/**
 * Proposals above the field while one writes `@` or `/`: a list box that is worked from the field, as the WAI-ARIA
 * practices describe it. The focus stays where one writes; an input method keeps its keys.
 */
import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { accepts, isPlain } from "./keys.js";

/**
 * @typedef {object} Proposal
 * @property {string} label
 * @property {string} [note] what it does
 * @property {number} from where in the text the part begins that it takes the place of
 * @property {string} text
 */

export class Suggestions {
  #input;
  #box = h("ul", { id: "suggestions", class: "suggestions", role: "listbox", "aria-label": t("suggestions"), hidden: true });
  /** @type {Proposal[]} */
  #proposals = [];
  #marked = 0;

  /** @param {HTMLTextAreaElement} input */
  constructor(input) {
    this.#input = input;
    byId("composer", HTMLFormElement).prepend(this.#box);
    // Pressing must not take the focus from the field.
    this.#box.addEventListener("pointerdown", (event) => event.preventDefault());
    this.#box.addEventListener("click", ({ target }) => {
      const option = target instanceof Element ? target.closest("[role=option]") : null;
      if (option) this.#take([...this.#box.children].indexOf(option));
    });
  }

  /** @param {Proposal[]} proposals */
  show(proposals) {
    if (proposals.length === 0) return this.close();
    this.#proposals = proposals;
    const options = proposals.map(({ label, note }, index) => {
      const words = [h("bdi", { class: "name" }, label), note ? h("span", { class: "note" }, note) : null];
      return h("li", { id: `suggestion-${index}`, role: "option" }, ...words);
    });
    this.#box.replaceChildren(...options);
    this.#box.hidden = false;
    this.#input.setAttribute("aria-autocomplete", "list");
    this.#input.setAttribute("aria-controls", this.#box.id);
    this.#mark(0);
  }

  close() {
    if (this.#box.hidden) return;
    this.#box.hidden = true;
    for (const name of ["aria-autocomplete", "aria-controls", "aria-activedescendant"]) this.#input.removeAttribute(name);
  }

  /** @param {KeyboardEvent} event @returns {boolean} whether the key was for the list */
  pressed(event) {
    if (this.#box.hidden) return false;
    const step = isPlain(event, "ArrowDown") ? 1 : isPlain(event, "ArrowUp") ? -1 : 0;
    if (step !== 0) this.#mark((this.#marked + step + this.#proposals.length) % this.#proposals.length);
    else if (accepts(event)) return this.#take(this.#marked);
    else if (isPlain(event, "Escape")) this.close();
    else return false;
    return true;
  }

  /** @param {number} index */
  #mark(index) {
    this.#marked = index;
    [...this.#box.children].forEach((option, at) => {
      option.setAttribute("aria-selected", String(at === index));
      if (at === index) option.scrollIntoView({ block: "nearest" });
    });
    this.#input.setAttribute("aria-activedescendant", `suggestion-${index}`);
  }

  /** @param {number} index @returns {boolean} whether the text is another one now */
  #take(index) {
    const { from, text } = this.#proposals[index];
    const to = this.#input.selectionStart;
    this.close();
    // A command that is written out already is ready to be sent.
    if (this.#input.value.slice(from, to) === text.trimEnd()) return false;
    this.#input.setRangeText(text, from, to, "end");
    this.#input.dispatchEvent(new Event("input", { bubbles: true }));
    return true;
  }
}

/**
 * What this person is called: asked in the composer before the first message, kept on the device, changed at any time.
 */
import { byId } from "./dom.js";
import { recall, remember } from "./storage.js";
import { guestName } from "./names.js";

const KEY = "roomful:name";

export class Naming {
  name;
  #first = byId("first-name", HTMLInputElement);
  #line = byId("naming", HTMLElement);
  #dialog = byId("rename-dialog", HTMLDialogElement);
  #field = byId("new-name", HTMLInputElement);
  #chosen;

  /** @param {(name: string) => void} chosen */
  constructor(chosen) {
    this.#chosen = chosen;
    const kept = recall(KEY);
    this.name = kept ?? guestName();
    this.#first.value = this.name;
    this.#line.hidden = kept !== null;
    for (const button of document.querySelectorAll("[data-do=rename]")) {
      button.addEventListener("click", () => this.#ask());
    }
    byId("rename-form", HTMLFormElement).addEventListener("submit", () => this.#take(this.#field.value));
    byId("rename-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
  }

  /** The first message is said under the name that stands in the composer. */
  settle() {
    if (!this.#line.hidden) this.#take(this.#first.value);
  }

  /** The server says what the name is. @param {string} name */
  known(name) {
    this.name = name;
    if (document.activeElement !== this.#first) this.#first.value = name;
    if (this.#line.hidden) remember(KEY, name);
  }

  #ask() {
    this.#field.value = this.name;
    byId("people-dialog", HTMLDialogElement).close();
    this.#dialog.showModal();
    this.#field.select();
  }

  /** @param {string} wish */
  #take(wish) {
    const name = wish.trim().replace(/\s+/g, " ") || this.name;
    const changed = name !== this.name;
    this.name = name;
    this.#line.hidden = true;
    remember(KEY, name);
    if (changed) this.#chosen(name);
  }
}

/**
 * What this person is called: asked in the composer before the first message, kept on the device, changed at any time.
 */

/** @import { Question } from "./ask.js" */
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { recall, remember } from "./storage.js";

const KEY = "roomful:name";
const LONGEST = 32;

export class Naming {
  name;
  #first = byId("first-name", HTMLInputElement);
  #line = byId("naming", HTMLElement);
  #page;

  /** @param {{ ask: (question: Question) => Promise<string | null>, chosen: (name: string) => void }} page */
  constructor(page) {
    this.#page = page;
    const kept = recall(KEY);
    this.name = kept ?? guestName();
    this.#first.value = this.name;
    this.#line.hidden = kept !== null;
    byId("rename", HTMLButtonElement).addEventListener("click", () => void this.#ask());
  }

  /** The first message is said under the name that stands in the composer. */
  settle() {
    if (!this.#line.hidden) this.take(this.#first.value);
  }

  /** The server says what the name is. @param {string} name */
  known(name) {
    this.name = name;
    if (document.activeElement !== this.#first) this.#first.value = name;
    if (this.#line.hidden) remember(KEY, name);
  }

  /** @param {string} wish */
  take(wish) {
    const name = [...wish.trim().replace(/\s+/g, " ")].slice(0, LONGEST).join("") || this.name;
    const changed = name !== this.name;
    this.name = name;
    this.#line.hidden = true;
    remember(KEY, name);
    if (changed) this.#page.chosen(name);
  }

  async #ask() {
    const title = t("rename");
    const name = await this.#page.ask({ id: "name", title, label: t("name_label"), value: this.name, longest: LONGEST, required: true });
    if (name !== null) this.take(name);
  }
}

/** A friendly one, until somebody thinks of a better one. */
function guestName() {
  const [kind, guest] = [t("guest_kinds"), t("guests")].map((words) => {
    const all = words.split(" ");
    return all[Math.floor(Math.random() * all.length)];
  });
  return t("guest", { kind, guest });
}

/**
 * What one can do with a message: one menu for all of them, opened beside its button.
 */

/** @import { MessageView } from "./types.js" */
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";
import { isPlain } from "./keys.js";

const QUICK = ["👍", "❤️", "😂", "🎉", "😮", "😢"];

/**
 * @typedef {object} MenuActions
 * @property {(message: MessageView, emoji: string) => void} react
 * @property {(message: MessageView) => void} reply
 * @property {(message: MessageView) => void} copy
 * @property {(message: MessageView) => void} edit
 * @property {(message: MessageView) => void} remove
 */

export class Menu {
  #element = h("div", { id: "menu", class: "menu", popover: "auto", role: "menu", "aria-label": t("actions") });
  /** @type {HTMLElement | null} where the focus goes back to */
  #opener = null;
  #actions;

  /** @param {MenuActions} actions */
  constructor(actions) {
    this.#actions = actions;
    document.querySelector("main")?.append(this.#element);
    this.#element.addEventListener("keydown", (event) => this.#pressed(event));
    this.#element.addEventListener("toggle", () => {
      const open = this.#element.matches(":popover-open");
      this.#opener?.setAttribute("aria-expanded", String(open));
      if (!open && this.#element.contains(document.activeElement)) this.#opener?.focus();
    });
  }

  /** @param {HTMLElement} opener @param {MessageView} message @param {boolean} own */
  open(opener, message, own) {
    this.#opener = opener;
    const reactions = QUICK.map((emoji) =>
      this.#item([emoji], () => this.#actions.react(message, emoji), t("react_with", { emoji })),
    );
    const items = [
      this.#item([icon("reply"), t("reply")], () => this.#actions.reply(message)),
      this.#item([icon("copy"), t("copy_link")], () => this.#actions.copy(message)),
    ];
    if (own) {
      items.push(this.#item([icon("edit"), t("edit")], () => this.#actions.edit(message)));
      items.push(this.#item([icon("delete"), t("delete")], () => this.#sure(message)));
    }
    this.#show(h("div", { class: "quick", role: "group" }, ...reactions), ...items);
  }

  /** @param {MessageView} message */
  #sure(message) {
    this.#show(
      h("p", { class: "sure", role: "presentation" }, t("delete_sure")),
      this.#item([icon("delete"), t("delete")], () => this.#actions.remove(message)),
      this.#item([icon("close"), t("cancel")], () => {}),
    );
  }

  /** @param {...HTMLElement} content */
  #show(...content) {
    this.#element.replaceChildren(...content);
    if (!this.#element.matches(":popover-open")) this.#element.showPopover();
    this.#beside();
    this.#items()[0]?.focus();
  }

  /** @param {(Node | string)[]} content @param {() => void} act @param {string} [label] */
  #item(content, act, label) {
    const run = () => {
      const page = this.#element.firstElementChild;
      act();
      // Unless the act put another page into the menu, it is done.
      if (page === this.#element.firstElementChild) this.#close();
    };
    return h("button", { type: "button", role: "menuitem", tabindex: "-1", "aria-label": label, onclick: run }, ...content);
  }

  #close() {
    const opener = this.#opener;
    const inside = this.#element.contains(document.activeElement);
    this.#element.hidePopover();
    if (inside) opener?.focus();
  }

  /** Under the button, or above it, and never out of the window. */
  #beside() {
    if (this.#opener === null) return;
    const at = this.#opener.getBoundingClientRect();
    const { offsetWidth, offsetHeight } = this.#element;
    const below = at.bottom + offsetHeight + 8 < innerHeight;
    const left = Math.min(Math.max(8, at.right - offsetWidth), innerWidth - offsetWidth - 8);
    this.#element.style.left = `${Math.max(8, left)}px`;
    this.#element.style.top = `${Math.max(8, below ? at.bottom + 4 : at.top - offsetHeight - 4)}px`;
  }

  #items() {
    return [...this.#element.querySelectorAll("button")];
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const items = this.#items();
    const now = items.findIndex((item) => item === document.activeElement);
    const step = ["ArrowDown", "ArrowRight"].some((key) => isPlain(event, key))
      ? 1
      : ["ArrowUp", "ArrowLeft"].some((key) => isPlain(event, key))
        ? -1
        : 0;
    if (isPlain(event, "Tab")) return this.#close();
    if (step === 0) return;
    event.preventDefault();
    items[(now + step + items.length) % items.length]?.focus();
  }
}

/**
 * The topic under the room's name: all of it in the title, and a dialog to change it.
 */
import { byId } from "./dom.js";
import { t } from "./i18n.js";

export class TopicLine {
  #button = byId("topic", HTMLButtonElement);
  #words = byId("topic-words", HTMLElement);
  #dialog = byId("topic-dialog", HTMLDialogElement);
  #field = byId("new-topic", HTMLInputElement);
  #text = "";

  /** @param {(text: string) => void} chosen */
  constructor(chosen) {
    this.#button.addEventListener("click", () => this.#ask());
    byId("topic-form", HTMLFormElement).addEventListener("submit", () => {
      const text = this.#field.value.trim().replace(/\s+/g, " ");
      if (text !== this.#text) chosen(text);
    });
    byId("topic-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
  }

  /** @param {string} text */
  show(text) {
    this.#text = text;
    this.#words.textContent = text || t("topic_none");
    this.#button.classList.remove("unknown");
    this.#button.classList.toggle("none", text === "");
    this.#button.title = text;
    this.#button.setAttribute("aria-label", text ? t("topic_button", { topic: text }) : t("topic_none"));
  }

  #ask() {
    this.#field.value = this.#text;
    this.#dialog.showModal();
    this.#field.select();
  }
}

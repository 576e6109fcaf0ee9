/**
 * The topic under the room's name: all of it in the title, and a dialog to change it.
 */

/** @import { Question } from "./ask.js" */
import { byId } from "./dom.js";
import { t } from "./i18n.js";

export class TopicLine {
  #button = byId("topic", HTMLButtonElement);
  #words = byId("topic-words", HTMLElement);
  #text = "";
  #page;

  /** @param {{ ask: (question: Question) => Promise<string | null>, chosen: (text: string) => void }} page */
  constructor(page) {
    this.#page = page;
    this.#button.addEventListener("click", () => void this.#ask());
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

  async #ask() {
    const question = { id: "topic", title: t("topic"), label: t("topic_label"), value: this.#text, longest: 250 };
    const text = await this.#page.ask(question);
    if (text !== null) this.#page.chosen(text);
  }
}

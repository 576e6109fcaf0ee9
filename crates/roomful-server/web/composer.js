/**
 * Where one writes. It is never disabled: what is written while the network is away waits in the outbox.
 */

/** @import { MessageView } from "./types.js" */
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { isPlain, sends } from "./keys.js";
import { nameOf } from "./message.js";
import { recall, remember } from "./storage.js";

const utf8 = new TextEncoder();

/**
 * What the composer asks of the page.
 * @typedef {object} Desk
 * @property {(text: string, replyTo: number | undefined) => void} say
 * @property {(seq: number, text: string) => void} edit
 * @property {() => void} typing
 * @property {() => MessageView | undefined} newestOwn
 * @property {() => number} bytesAllowed
 */

export class Composer {
  #form = byId("composer", HTMLFormElement);
  #input = byId("text", HTMLTextAreaElement);
  #bar = byId("about", HTMLElement);
  #barWords = byId("about-words", HTMLElement);
  #hint = byId("hint", HTMLElement);
  #desk;
  #draftKey;
  /** @type {MessageView | null} */
  #replying = null;
  /** @type {MessageView | null} */
  #editing = null;

  /** @param {Desk} desk @param {string} room */
  constructor(desk, room) {
    this.#desk = desk;
    this.#draftKey = `roomful:draft:${room}`;
    this.#input.value = recall(this.#draftKey) ?? "";
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#input.addEventListener("input", () => this.#changed());
    this.#input.addEventListener("keydown", (event) => this.#pressed(event));
    byId("about-cancel", HTMLButtonElement).addEventListener("click", () => this.cancel());
    this.#fit();
  }

  focus() {
    this.#input.focus();
  }

  /** @param {MessageView} message */
  reply(message) {
    this.cancel();
    this.#replying = message;
    this.#showBar(t("replying_to", { name: nameOf(message.from.name) }), message.text);
  }

  /** @param {MessageView} message */
  edit(message) {
    this.cancel();
    this.#editing = message;
    this.#input.value = message.text;
    this.#showBar(t("editing"), "");
    this.#fit();
  }

  cancel() {
    if (this.#editing) this.#input.value = recall(this.#draftKey) ?? "";
    this.#editing = this.#replying = null;
    this.#bar.hidden = true;
    this.#fit();
    this.#input.focus();
  }

  #submit() {
    const text = this.#input.value.trim();
    if (text === "" || this.#excess(text) > 0) return this.#input.focus();
    if (this.#editing) {
      if (text !== this.#editing.text) this.#desk.edit(this.#editing.seq, text);
      return this.cancel();
    }
    const replyTo = this.#replying?.seq;
    this.#input.value = "";
    remember(this.#draftKey, null);
    this.cancel();
    this.#desk.say(text, replyTo);
  }

  #changed() {
    if (!this.#editing) remember(this.#draftKey, this.#input.value || null);
    this.#fit();
    if (this.#input.value.trim() !== "") this.#desk.typing();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (sends(event)) {
      event.preventDefault();
      this.#submit();
    } else if (isPlain(event, "Escape") && (this.#editing || this.#replying)) {
      event.preventDefault();
      this.cancel();
    } else if (isPlain(event, "ArrowUp") && this.#input.value === "" && !this.#replying) {
      const own = this.#desk.newestOwn();
      if (own === undefined) return;
      event.preventDefault();
      this.edit(own);
    }
  }

  /** @param {string} text @returns {number} bytes over the limit */
  #excess(text) {
    return utf8.encode(text).length - this.#desk.bytesAllowed();
  }

  /** As high as what is in it, until the style sheet says stop; and a word where it is too long. */
  #fit() {
    const excess = this.#excess(this.#input.value.trim());
    this.#hint.textContent = excess > 0 ? t("too_long", { count: excess }) : "";
    this.#input.toggleAttribute("aria-invalid", false);
    if (excess > 0) this.#input.setAttribute("aria-invalid", "true");
    this.#input.style.height = "auto";
    this.#input.style.height = `${this.#input.scrollHeight + 2}px`;
  }

  /** @param {string} words @param {string} text */
  #showBar(words, text) {
    const excerpt = text.length > 80 ? `${text.slice(0, 80)}…` : text;
    this.#barWords.replaceChildren(words, ...(excerpt ? [": ", excerpt] : []));
    this.#bar.hidden = false;
    this.#input.focus();
  }
}

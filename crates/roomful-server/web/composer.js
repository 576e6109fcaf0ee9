/**
 * Where one writes. It is never disabled: what is written while the network is away waits in the outbox.
 */

/** @import { MessageView } from "./types.js" */
/** @import { Suggestions } from "./suggest.js" */
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { isPlain, sends } from "./keys.js";
import { nameOf, oneLine } from "./message.js";
import { recall, remember } from "./storage.js";

const utf8 = new TextEncoder();
/** What asks for proposals: `@` and the beginning of a name, or a command at the beginning of the text. */
const ASKING = /^\/[a-z]*$|(?:^|[^A-Za-z0-9])@(?:[^\s@]*|[^\s@]+ [^\s@]*)$/u;

/**
 * What the composer asks of the page.
 * @typedef {object} Desk
 * @property {(text: string, replyTo: number | undefined) => void} say
 * @property {(text: string) => Promise<string | null>} command runs it; the answer is what is wrong with it
 * @property {(beginning: string) => Promise<Suggestions>} propose shows what it may become
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
  /** @type {Suggestions | null} loaded when it is first of use */
  #suggestions = null;

  /** @param {Desk} desk @param {string} room */
  constructor(desk, room) {
    this.#desk = desk;
    this.#draftKey = `roomful:draft:${room}`;
    // Who was faster than the script keeps what they wrote.
    this.#input.value ||= recall(this.#draftKey) ?? "";
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    this.#input.addEventListener("input", () => this.#changed());
    this.#input.addEventListener("keydown", (event) => this.#pressed(event));
    this.#input.addEventListener("blur", () => this.#suggestions?.close());
    byId("about-cancel", HTMLButtonElement).addEventListener("click", () => this.cancel());
    // Turned on its side, a telephone breaks the lines elsewhere.
    addEventListener("resize", () => this.#fit());
    this.#fit();
  }

  focus() {
    this.#input.focus();
  }

  /** @param {MessageView} message */
  reply(message) {
    this.cancel();
    this.#replying = message;
    this.#showBar(t("replying_to", { name: nameOf(message.from.name) }), oneLine(message));
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

  async #submit() {
    const text = this.#input.value.trim();
    this.#suggestions?.close();
    if (text === "" || this.#excess(text) > 0) return this.#input.focus();
    if (this.#editing) {
      if (text !== this.#editing.text) this.#desk.edit(this.#editing.seq, text);
      return this.cancel();
    }
    if (text.startsWith("/")) {
      const problem = await this.#desk.command(text);
      // What was not understood stays where it can be mended.
      if (problem !== null) return this.#say(problem);
    } else this.#desk.say(text, this.#replying?.seq);
    this.#input.value = "";
    remember(this.#draftKey, null);
    this.cancel();
  }

  /** What a message is an answer to, for those who say it in another way. */
  get replyingTo() {
    return this.#replying?.seq;
  }

  #changed() {
    if (!this.#editing) remember(this.#draftKey, this.#input.value || null);
    this.#fit();
    if (this.#input.value.trim() !== "") this.#desk.typing();
    const beginning = this.#input.value.slice(0, this.#input.selectionStart);
    if (ASKING.test(beginning)) void this.#suggest(beginning);
    else this.#suggestions?.close();
  }

  /** @param {string} beginning of the text, up to where one writes */
  async #suggest(beginning) {
    this.#suggestions = await this.#desk.propose(beginning).catch(() => null);
    // What was written meanwhile asks again, or for nothing.
    const { value, selectionStart } = this.#input;
    if (value.slice(0, selectionStart) !== beginning) this.#suggestions?.close();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (this.#suggestions?.pressed(event)) return event.preventDefault();
    if (sends(event)) {
      event.preventDefault();
      void this.#submit();
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
    this.#say(excess > 0 ? t("too_long", { count: excess }) : "");
    this.#input.style.height = "auto";
    this.#input.style.height = `${this.#input.scrollHeight + 2}px`;
  }

  /** @param {string} problem with what is written; empty where there is none */
  #say(problem) {
    this.#hint.textContent = problem;
    if (problem) this.#input.setAttribute("aria-invalid", "true");
    else this.#input.removeAttribute("aria-invalid");
  }

  /** @param {string} words @param {string} text */
  #showBar(words, text) {
    const excerpt = text.length > 80 ? `${text.slice(0, 80)}…` : text;
    this.#barWords.replaceChildren(words, ...(excerpt ? [": ", excerpt] : []));
    this.#bar.hidden = false;
    this.#input.focus();
  }
}

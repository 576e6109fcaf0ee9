/**
 * What a screen reader is told of new messages: one hidden log, apart from the visible list, to which only what others
 * say now is added. History, edits and one's own messages change the list and are not read aloud.
 */

/** @import { MessageView } from "./types.js" */
import { byId, h } from "./dom.js";
import { listOf, t } from "./i18n.js";
import { nameOf, oneLine, topicSentence } from "./message.js";

const TOGETHER_MS = 400;
const ONE_BY_ONE = 3;
const KEPT = 20;

export class Announcer {
  #log = byId("log", HTMLElement);
  /** @type {MessageView[]} */
  #waiting = [];

  /** @param {MessageView} message */
  announce(message) {
    if (this.#waiting.push(message) === 1) setTimeout(() => this.#speak(), TOGETHER_MS);
  }

  #speak() {
    const messages = this.#waiting.splice(0);
    if (messages.length > ONE_BY_ONE) {
      const names = [...new Set(messages.map(({ from }) => nameOf(from.name)))];
      this.#add(t("said_many", { count: messages.length, names: listOf(names.slice(0, 5)) }));
    } else {
      for (const message of messages) this.#add(message.topic ? topicSentence(message) : sentenceFor(message));
    }
    while (this.#log.childElementCount > KEPT) this.#log.firstElementChild?.remove();
  }

  /** @param {string} sentence */
  #add(sentence) {
    this.#log.append(h("p", {}, sentence));
  }
}

/** @param {MessageView} message */
const sentenceFor = (message) => t("said_by", { name: nameOf(message.from.name), text: oneLine(message) });

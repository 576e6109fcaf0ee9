/**
 * What the page needs once one can read and write: who is here, who types, what is read aloud, menus, dialogs. It is
 * loaded when the room is live, and then stays: it must not depend on a network that is gone.
 */

/** @import { MessageView } from "./types.js" */
/** @import { Room } from "./client.js" */
/** @import { Composer } from "./composer.js" */
/** @import { Names } from "./names-here.js" */
/** @import { Naming } from "./naming.js" */
import { Announcer } from "./announcer.js";
import { ask } from "./ask.js";
import { commandsBeginningWith, run } from "./commands.js";
import { byId, h } from "./dom.js";
import { language, learn } from "./i18n.js";
import { Menu } from "./menu.js";
import { attract } from "./notify.js";
import { People } from "./people.js";
import { reachByKeys } from "./reach.js";
import { openSettings } from "./settings.js";
import { Suggestions } from "./suggest.js";

const PROPOSED = 8;

await Promise.all([style("/assets/later.css"), words()]);

/**
 * What this needs of the page.
 * @typedef {object} Page
 * @property {Room} room
 * @property {Names} names
 * @property {Naming} naming
 * @property {Composer} composer
 * @property {(text: string, replyTo?: number) => void} say
 * @property {import("./menu.js").MenuActions} actions
 * @property {(seq: number) => void} show
 */

export class Later {
  ask = ask;
  #page;
  #announcer = new Announcer();
  #menu;
  #suggestions = new Suggestions(byId("text", HTMLTextAreaElement));

  /** @param {Page} page */
  constructor(page) {
    const { room, actions } = page;
    this.#page = page;
    this.#menu = new Menu(actions);
    const people = new People();
    people.show(room.members, room.you.id);
    room.on("members", (members) => people.show(members, room.you.id));
    reachByKeys(byId("messages", HTMLOListElement));
  }

  /** Somebody else said something. @param {MessageView} message @param {boolean} calls whether it is meant for this person */
  heard(message, calls) {
    this.#announcer.announce(message);
    const { show } = this.#page;
    if (!message.topic) attract(message, calls, () => show(message.seq));
  }

  /** @param {HTMLElement} opener @param {MessageView} message */
  openMenu(opener, message) {
    this.#menu.open(opener, message, message.from.id === this.#page.room.you.id);
  }

  /** @param {HTMLElement} opener */
  openSettings(opener) {
    openSettings(opener);
  }

  /** @param {string} text @returns {string | null} why it did nothing */
  command(text) {
    const { room, naming, composer, say } = this.#page;
    const rename = (/** @type {string} */ name) => naming.take(name);
    return run(text, { say: (said) => say(said, composer.replyingTo), rename, setTopic: (topic) => room.setTopic(topic) });
  }

  /** Proposals for what is being written. @param {string} beginning @returns {Suggestions} */
  propose(beginning) {
    if (beginning.startsWith("/")) this.#suggestions.show(commandsBeginningWith(beginning));
    else {
      const from = beginning.lastIndexOf("@");
      const found = this.#page.names.beginningWith(beginning.slice(from + 1), PROPOSED);
      this.#suggestions.show(found.map((name) => ({ label: name, from, text: `@${name} ` })));
    }
    return this.#suggestions;
  }
}

/** @param {string} href */
function style(href) {
  const link = h("link", { rel: "stylesheet", href });
  document.head.append(link);
  return new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = () => {
      link.remove();
      reject(new Error(`${href} did not come`));
    };
  });
}

/** The rest of the language. */
async function words() {
  learn(language === "zh" ? (await import("./i18n/zh-later.js")).zh : (await import("./i18n/en-later.js")).en);
}

/**
 * Who is here: a list beside the messages where there is room for it, in a dialog where there is not.
 */

/** @import { Member } from "./types.js" */
/** @import { Members } from "./members.js" */
import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { avatar, nameOf } from "./message.js";

const LISTED = 100;

export class People {
  #lists = [byId("people", HTMLUListElement), byId("people-narrow", HTMLUListElement)];
  #button = byId("people-button", HTMLButtonElement);
  #count = byId("people-count", HTMLElement);
  #dialog = byId("people-dialog", HTMLDialogElement);
  #aside = byId("people-aside", HTMLElement);
  #frame = 0;

  constructor() {
    this.#button.addEventListener("click", () => {
      const wide = matchMedia("(min-width: 60rem)").matches;
      if (!wide) this.#dialog.showModal();
      else this.#aside.hidden = !this.#aside.hidden;
      this.#button.setAttribute("aria-expanded", String(wide ? !this.#aside.hidden : false));
    });
  }

  /** @param {Members} members @param {string | undefined} me */
  show(members, me) {
    if (this.#frame !== 0) return;
    // A thousand people may come at once; they are drawn once.
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw(members, me);
    });
  }

  /** @param {Members} members @param {string | undefined} me */
  #draw(members, me) {
    this.#count.textContent = String(members.count);
    this.#button.setAttribute("aria-label", t("people_button", { count: members.count }));
    const known = members.all();
    const own = known.filter(({ id }) => id === me);
    const others = known.filter(({ id }) => id !== me).sort((a, b) => a.name.localeCompare(b.name));
    const listed = [...own, ...others].slice(0, LISTED);
    for (const list of this.#lists) {
      const items = listed.map((member) => personItem(member, member.id === me));
      const more = members.count - listed.length;
      list.replaceChildren(...items, ...(more > 0 ? [h("li", { class: "rest" }, t("and_more", { count: more }))] : []));
    }
  }
}

/** @param {Member} member @param {boolean} own */
function personItem(member, own) {
  const name = h("bdi", { class: "name" }, nameOf(member.name));
  return h("li", {}, avatar(member), name, own ? h("span", { class: "note" }, t("you")) : null);
}

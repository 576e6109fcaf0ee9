/**
 * Who is here: a list beside the messages where there is room for it, over them where there is not.
 */

/** @import { Member } from "./types.js" */
/** @import { Members } from "./members.js" */
import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { avatar, nameOf } from "./message.js";

const LISTED = 100;
const wide = matchMedia("(width >= 60rem)");

export class People {
  #list = byId("people", HTMLUListElement);
  #button = byId("people-button", HTMLButtonElement);
  #count = byId("people-count", HTMLElement);
  #aside = byId("people-aside", HTMLElement);
  #frame = 0;

  constructor() {
    const suit = () => {
      if (wide.matches && this.#aside.matches(":popover-open")) this.#aside.hidePopover();
      this.#button.popoverTargetElement = wide.matches ? null : this.#aside;
      if (wide.matches) this.#button.setAttribute("aria-expanded", String(!this.#aside.hidden));
      else this.#button.removeAttribute("aria-expanded");
    };
    this.#button.addEventListener("click", () => {
      if (wide.matches) this.#aside.hidden = !this.#aside.hidden;
      suit();
    });
    wide.addEventListener("change", () => {
      this.#aside.hidden = false;
      suit();
    });
    suit();
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
    const items = listed.map((member) => personItem(member, member.id === me));
    const more = members.count - listed.length;
    this.#list.replaceChildren(...items, ...(more > 0 ? [h("li", { class: "rest" }, t("and_more", { count: more }))] : []));
  }
}

/** @param {Member} member @param {boolean} own */
function personItem(member, own) {
  const name = h("bdi", { class: "name" }, nameOf(member.name));
  return h("li", {}, avatar(member), name, own ? h("span", { class: "note" }, t("you")) : null);
}

/**
 * The lobby: open a room by name, see which rooms there are.
 */

/** @import { RoomInfo } from "./types.js" */
import { byId, h, icon } from "./dom.js";
import { agoOf, chooseLanguage, fullTimeOf, language, t, translate } from "./i18n.js";
import { roomName } from "./names.js";
import { forgetRooms, recentRooms } from "./recent.js";
import { pathOf, suggestName } from "./room-name.js";

const EVERY_MS = 10_000;

const input = byId("room", HTMLInputElement);
const hint = byId("room-hint", HTMLElement);

translate(document);
byId("language", HTMLButtonElement).addEventListener("click", () => chooseLanguage(language === "zh" ? "en" : "zh"));
byId("random", HTMLButtonElement).addEventListener("click", () => location.assign(pathOf(roomName())));
byId("open", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  const problem = problemWith(input.value.trim());
  if (problem === null) return location.assign(pathOf(suggestName(input.value)));
  hint.textContent = problem;
  hint.classList.add("wrong");
  input.setAttribute("aria-invalid", "true");
  input.focus();
});
input.addEventListener("input", () => {
  hint.textContent = t("room_hint");
  hint.classList.remove("wrong");
  input.removeAttribute("aria-invalid");
});
byId("forget", HTMLButtonElement).addEventListener("click", () => {
  forgetRooms();
  showRecent();
  input.focus();
});
document.addEventListener("visibilitychange", keepUp);
setInterval(keepUp, EVERY_MS);
showRecent();
void showRooms();

function keepUp() {
  // Behind a dialog the list stands still: the button that opened it is to be there when it closes.
  if (!document.hidden && document.querySelector("dialog[open]") === null) void showRooms();
}

/** @param {string} name @returns {string | null} what is wrong with it, and the way out */
function problemWith(name) {
  if (name === "") return t("room_name_empty");
  const suggestion = suggestName(name);
  if (suggestion === "") return t("room_name_hopeless");
  if (suggestion === name.normalize().replace(/^#+/, "")) return null;
  return [...name].length > 64 ? t("room_name_long") : t("room_name_bad", { suggestion });
}

function showRecent() {
  const rooms = recentRooms();
  byId("recent", HTMLElement).hidden = rooms.length === 0;
  const items = rooms.map((room) => h("li", {}, h("a", { href: pathOf(room) }, h("bdi", {}, `#${room}`))));
  byId("recent-list", HTMLUListElement).replaceChildren(...items);
}

async function showRooms() {
  const list = byId("rooms", HTMLUListElement);
  const none = byId("no-rooms", HTMLElement);
  try {
    const response = await fetch("/api/rooms", { cache: "no-store" });
    if (!response.ok) throw new Error(String(response.status));
    const { rooms } = /** @type {{ rooms: RoomInfo[] }} */ (await response.json());
    const focused = document.activeElement;
    const focusedRoom = focused?.closest("#rooms li")?.getAttribute("data-room");
    list.replaceChildren(...rooms.map(roomItem));
    // The list is drawn anew under the reader: the focus stays with its room.
    const again = [...list.children].find((item) => focusedRoom && item.getAttribute("data-room") === focusedRoom);
    again?.querySelector(focused instanceof HTMLButtonElement ? "button" : "a")?.focus();
    none.textContent = t("no_rooms");
    none.hidden = rooms.length > 0;
  } catch {
    none.textContent = t("rooms_unreachable");
    none.hidden = false;
  }
}

/** @param {RoomInfo} info */
function roomItem({ room, members, topic, last_at }) {
  const here = h("span", { class: members > 0 ? "here" : "nobody" }, members > 0 ? t("people", { count: members }) : t("nobody"));
  const at = last_at ? new Date(last_at) : null;
  const time = at ? h("time", { datetime: last_at, title: fullTimeOf(at) }, agoOf(at)) : null;
  const about = topic === "" ? null : h("span", { class: "about", dir: "auto", title: topic }, topic);
  const link = h("a", { href: pathOf(room) }, h("bdi", { class: "name" }, `#${room}`), here, time, about);
  const words = t("invite_to", { room: `#${room}` });
  const invite = h("button", { class: "tool", type: "button", "aria-haspopup": "dialog", "aria-label": words, title: words }, icon("invite"));
  invite.addEventListener("click", async () => (await import("./share.js")).share(room));
  return h("li", { "data-room": room }, link, invite);
}

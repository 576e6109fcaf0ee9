/**
 * The room inside another site's page: what that page is told, and what it may ask for.
 *
 * Messages are exchanged with the origin named in `?embed=` alone, and only if it is that of the page around. Which sites may
 * show the room at all is not decided here: browsers do, by `frame-ancestors`.
 */

/** @import { Room } from "./client.js" */
import { h } from "./dom.js";

const asked = new URLSearchParams(location.search);
const site = originOf(asked.get("embed"));

/** @param {Room} room */
export function embed(room) {
  if (parent === window) return;
  showTheme(asked.get("theme"));
  document.documentElement.classList.add("embedded");
  // Together with the page around, there are two of these.
  document.querySelector("main")?.setAttribute("aria-labelledby", "room-name");
  /** A page that never says whether the room is in sight shows it. */
  let open = true;
  let unread = 0;

  const countUnread = (/** @type {number} */ count) => {
    if (count !== unread) tell({ type: "roomful.unread", count });
    unread = count;
  };
  const seen = () => open && !document.hidden;
  room.on("message", ({ from }) => {
    if (from.id !== room.you.id && !seen()) countUnread(unread + 1);
  });
  document.addEventListener("visibilitychange", () => seen() && countUnread(0));
  document.addEventListener("keydown", (event) => {
    const inner = document.querySelector("dialog[open], :popover-open") !== null;
    const free = !event.defaultPrevented && !event.isComposing && event.keyCode !== 229;
    if (event.key === "Escape" && free && !inner) tell({ type: "roomful.close" });
  });
  addEventListener("message", ({ origin, source, data }) => {
    if (source !== parent || origin !== site) return;
    if (data?.type === "roomful.theme") showTheme(data.theme);
    if (data?.type !== "roomful.open") return;
    open = data.open === true;
    if (seen()) countUnread(0);
    // On a touch screen the keyboard would come with it, and cover what there is to read.
    if (open && !matchMedia("(pointer: coarse)").matches) document.getElementById("text")?.focus({ preventScroll: true });
  });

  // Only when the room looks as it will is it worth being shown.
  const style = h("link", { rel: "stylesheet", href: "/assets/embed-frame.css" });
  style.addEventListener("load", () => tell({ type: "roomful.ready" }));
  document.head.append(style);
}

/** @param {object} message */
function tell(message) {
  // With another origin than the parent's, the browser keeps it.
  if (site !== null) parent.postMessage(message, site);
}

/** @param {unknown} theme `light`, `dark`, or whatever the reader's system has */
function showTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

/** @param {string | null} address */
function originOf(address) {
  if (address === null || !URL.canParse(address)) return null;
  const { origin } = new URL(address);
  return origin === "null" ? null : origin;
}

/**
 * The dialog that shares a room: its link as a QR code for phones that are near, and as text for everybody else.
 *
 * Whoever opens it loads it then: `(await import("./share.js")).share("123")`.
 */
import { h, icon } from "./dom.js";
import { words } from "./i18n/share.js";
import { language, learn, t } from "./i18n.js";
import { qrCode } from "./qr.js";
import { pathOf } from "./room-name.js";

learn(words[language]);
const SVG = "http://www.w3.org/2000/svg";
/** Light modules around the code, without which readers do not find it. */
const QUIET = 4;

const looks = new Promise((loaded) => {
  const sheet = h("link", { rel: "stylesheet", href: "/assets/share.css", onload: loaded, onerror: loaded });
  document.head.append(sheet);
});

/** @param {string} room */
export async function share(room) {
  await looks;
  const link = location.origin + pathOf(room);
  const name = `#${room}`;
  const said = h("p", { class: "share-said", role: "status" });
  const field = h("input", { id: "share-link", readonly: true, value: link, dir: "ltr", onfocus: () => field.select() });
  const copy = h("button", { class: "primary", type: "button", onclick: () => void copyLink() }, t("share_copy"));
  const close = h("button", { class: "tool", "aria-label": t("share_close"), title: t("share_close") }, icon("close"));
  const dialog = h(
    "dialog",
    { class: "share", "aria-labelledby": "share-title" },
    h("form", { class: "share-head", method: "dialog" }, h("h2", { id: "share-title", dir: "auto" }, t("invite_to", { room: name })), close),
    picture(link, t("share_code", { room: name })),
    h("p", { class: "note" }, t("share_about")),
    h("label", { for: "share-link" }, t("share_link")),
    field,
    h("div", { class: "share-row" }, copy, sendButton(link, name)),
    said,
  );
  const opener = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (opener instanceof HTMLElement) opener.focus();
  });
  // Beside the box is outside of it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  copy.focus();

  async function copyLink() {
    // A page on plain HTTP from another machine has no clipboard.
    const done = (await navigator.clipboard?.writeText(link).then(() => true, () => false)) ?? false;
    said.textContent = t(done ? "share_copied" : "share_by_hand");
    if (!done) field.focus();
  }
}

/** What the device itself can do with a link, where it says so. @param {string} link @param {string} title */
function sendButton(link, title) {
  const data = { title, url: link };
  if (!navigator.canShare?.(data)) return null;
  // Whoever changes their mind has not met an error.
  const send = () => void navigator.share(data).catch(() => {});
  return h("button", { class: "quiet", type: "button", onclick: send }, t("share_send"));
}

/** @param {string} link @param {string} label @returns {SVGElement | null} nothing where the link is too long for a code */
function picture(link, label) {
  const code = qrCode(link);
  if (code === null) return null;
  const size = code.length + 2 * QUIET;
  const svg = document.createElementNS(SVG, "svg");
  const attributes = { class: "share-code", role: "img", "aria-label": label, viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges" };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const path = document.createElementNS(SVG, "path");
  const dark = code.flatMap((row, y) => row.map((on, x) => (on ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : "")));
  path.setAttribute("d", dark.join(""));
  svg.append(path);
  return svg;
}

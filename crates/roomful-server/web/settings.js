/**
 * What this person wants of the page: to be notified, to hear something, another language. Kept on the device.
 */

/** @import { Key } from "./i18n.js" */
import { h } from "./dom.js";
import { chooseLanguage, language, t } from "./i18n.js";
import { blip, canNotify, mayNotify } from "./notify.js";
import { recall, remember } from "./storage.js";

/** @param {HTMLElement} opener */
export function openSettings(opener) {
  const problem = h("p", { class: "note", role: "status" }, canNotify() ? "" : t("notify_impossible"));
  const notify = choice("notify", async (box) => {
    if (!box.checked || (await mayNotify())) return;
    // Asked and refused: only the browser's own settings can change that.
    box.checked = false;
    problem.textContent = t("notify_refused");
  });
  const sound = choice("sound", (box) => box.checked && blip());
  const languages = h(
    "select",
    { id: "choose-language", onchange: () => chooseLanguage(languages.value === "zh" ? "zh" : "en") },
    h("option", { value: "en", lang: "en", selected: language === "en" }, "English"),
    h("option", { value: "zh", lang: "zh-CN", selected: language === "zh" }, "中文"),
  );
  const heading = h("h2", { id: "settings-heading" }, t("settings"));
  const close = h("button", { class: "primary" }, t("close"));
  const field = h("p", { class: "field" }, h("label", { for: languages.id }, t("language")), languages);
  const form = h("form", { method: "dialog" }, heading, notify, problem, sound, field, h("div", { class: "row" }, close));
  const dialog = h("dialog", { id: "settings-dialog", class: "box", "aria-labelledby": heading.id }, form);
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {"notify" | "sound"} what @param {(box: HTMLInputElement) => unknown} changed may take it back */
function choice(what, changed) {
  const key = `roomful:${what}`;
  const box = h("input", { type: "checkbox", id: `choose-${what}`, checked: recall(key) === "on" });
  if (what === "notify" && !canNotify()) box.disabled = true;
  box.addEventListener("change", async () => {
    await changed(box);
    remember(key, box.checked ? "on" : null);
  });
  return h("p", { class: "field" }, box, h("label", { for: box.id }, t(/** @type {Key} */ (`choose_${what}`))));
}

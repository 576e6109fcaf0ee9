/**
 * A dialog that asks for one line: a name, a topic.
 */
import { h } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @typedef {object} Question
 * @property {string} id of the field, after `new-`
 * @property {string} title
 * @property {string} label
 * @property {string} value what it is now
 * @property {number} longest
 * @property {boolean} [required]
 */

/** @param {Question} question @returns {Promise<string | null>} `null` where it is left as it is */
export function ask({ id, title, label, value, longest, required = false }) {
  const field = h("input", { id: `new-${id}`, maxlength: longest, required, autocomplete: "off", dir: "auto" });
  const heading = h("h2", { id: `${id}-heading` }, title);
  const dialog = h(
    "dialog",
    { id: `${id}-dialog`, class: "box", "aria-labelledby": heading.id },
    h(
      "form",
      { method: "dialog" },
      heading,
      h("label", { for: field.id }, label),
      field,
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, t("cancel")),
        h("button", { class: "primary", value: "save" }, t("save")),
      ),
    ),
  );
  field.value = value;
  document.body.append(dialog);
  dialog.showModal();
  field.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      const words = field.value.trim().replace(/\s+/g, " ");
      resolve(dialog.returnValue === "save" && words !== value ? words : null);
    });
  });
}

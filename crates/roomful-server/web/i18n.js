/**
 * The page in the reader's language: `t("send")`, and times, numbers and plurals as that language writes them.
 *
 * The language is the one asked for by `?lang=`, else the one chosen earlier, else the browser's. Only its table is loaded.
 */
import { recall, remember } from "./storage.js";

/** @typedef {"en" | "zh"} Language */
/** @typedef {typeof import("./i18n/share.js").words.en & typeof import("./i18n/status-page.js").words.en} LearnedLater */
/** @typedef {keyof typeof import("./i18n/en.js").en | keyof typeof import("./i18n/en-later.js").en | keyof LearnedLater} Key */

const KEY = "roomful:language";
const ATTRIBUTES = {
  "data-t-label": "aria-label",
  "data-t-aria-label": "aria-label",
  "data-t-placeholder": "placeholder",
  "data-t-title": "title",
};

/** @type {Language} */
export const language = choose();
/** @type {Record<string, string>} */
const table = { ...(await tableOf(language)) };
const locale = language === "zh" ? "zh-CN" : navigator.languages.find((tag) => tag.startsWith("en")) ?? "en";

const dayFormat = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const dayYearFormat = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const timeFormat = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" });
const agoFormat = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
const listFormat = new Intl.ListFormat(locale, { type: "conjunction" });
const plurals = new Intl.PluralRules(locale);

/** @param {Language} language @returns {Promise<Record<string, string>>} */
async function tableOf(language) {
  return language === "zh" ? (await import("./i18n/zh.js")).zh : (await import("./i18n/en.js")).en;
}

/** More words of this language. @param {Record<string, string>} words */
export const learn = (words) => void Object.assign(table, words);

/** @returns {Language} */
function choose() {
  const asked = new URLSearchParams(location.search).get("lang");
  const wishes = [asked, recall(KEY), ...navigator.languages];
  for (const wish of wishes) {
    const short = wish?.slice(0, 2).toLowerCase();
    if (short === "en" || short === "zh") return short;
  }
  return "en";
}

/** @param {Language} wanted */
export function chooseLanguage(wanted) {
  remember(KEY, wanted);
  const url = new URL(location.href);
  url.searchParams.delete("lang");
  if (url.href === location.href) location.reload();
  else location.replace(url);
}

/**
 * The sentence for a key. `{name}` is replaced by the value of that name; with a `count`, the key's form for that
 * number is taken where the language has one (`people_one`).
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const form = typeof values.count === "number" ? `${key}_${plurals.select(values.count)}` : key;
  const sentence = table[form] ?? table[key];
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string} code of the server @returns {string} */
export function errorSentence(code) {
  const key = `error_${code}`;
  return key in table ? t(/** @type {Key} */ (key)) : t("error_other", { code });
}

/**
 * Puts the language into the page: `data-t` is the text of an element, `data-t-title` and so on of an attribute,
 * `data-t-label` what a button without words is called.
 * @param {ParentNode} root
 */
export function translate(root) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-t]")) {
    element.textContent = t(/** @type {Key} */ (element.getAttribute("data-t")));
  }
  for (const [mark, attribute] of Object.entries(ATTRIBUTES)) {
    for (const element of root.querySelectorAll(`[${mark}]`)) {
      element.setAttribute(attribute, t(/** @type {Key} */ (element.getAttribute(mark))));
      if (mark === "data-t-label") element.setAttribute("title", element.getAttribute(attribute) ?? "");
    }
  }
}

/** @param {Date} date */
export function dayOf(date) {
  const now = new Date();
  if (isSameDay(date, now)) return t("today");
  if (isSameDay(date, new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1))) return t("yesterday");
  return (date.getFullYear() === now.getFullYear() ? dayFormat : dayYearFormat).format(date);
}

/** @param {Date} date */
export const timeOf = (date) => timeFormat.format(date);

/** @param {Date} date */
export const fullTimeOf = (date) => fullFormat.format(date);

/** @param {string[]} words */
export const listOf = (words) => listFormat.format(words);

/** @param {Date} date */
export function agoOf(date) {
  const seconds = Math.round((date.getTime() - Date.now()) / 1000);
  if (seconds > -60) return agoFormat.format(0, "second");
  if (seconds > -3600) return agoFormat.format(Math.round(seconds / 60), "minute");
  if (seconds > -86_400) return agoFormat.format(Math.round(seconds / 3600), "hour");
  return agoFormat.format(Math.round(seconds / 86_400), "day");
}

/** @param {Date} a @param {Date} b */
export function isSameDay(a, b) {
  return a.getFullYear() === b.getFullYear() && a.getMonth() === b.getMonth() && a.getDate() === b.getDate();
}

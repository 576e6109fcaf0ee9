/**
 * Moving through the messages by keyboard: the list is one stop of the Tab key, arrows go from message to message, and
 * the button of the message in focus is the next stop.
 */
import { isPlain } from "./keys.js";

/** @param {HTMLOListElement} list */
export function reachByKeys(list) {
  /** @type {HTMLElement | null} */
  let current = null;

  /** @param {Element | null | undefined} article */
  const reach = (article) => {
    if (current) stop(current, false);
    current = article instanceof HTMLElement ? article : null;
    if (current) stop(current, true);
  };

  list.addEventListener("focusin", ({ target }) => {
    const article = target instanceof Element ? target.closest("article") : null;
    if (article) reach(article);
  });
  list.addEventListener("keydown", (event) => {
    if (!(event.target instanceof HTMLElement) || !event.target.matches("article")) return;
    const articles = [...list.querySelectorAll("article")];
    const now = articles.indexOf(event.target);
    const steps = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: articles.length - 1 };
    const step = Object.entries(steps).find(([key]) => isPlain(event, key));
    if (step === undefined) return;
    event.preventDefault();
    articles[step[1]]?.focus();
  });
  // The stop is the newest message until another one was chosen, and again when that one is gone.
  new MutationObserver(() => {
    const used = current?.isConnected && current.contains(document.activeElement);
    if (!used) reach(list.lastElementChild?.querySelector("article"));
  }).observe(list, { childList: true });
}

/** @param {HTMLElement} article @param {boolean} on */
function stop(article, on) {
  for (const element of [article, ...article.querySelectorAll(".more")]) element.setAttribute("tabindex", on ? "0" : "-1");
}

/**
 * The state of the connection, in words. A state that passes within a second is not worth a word.
 */

/** @import { State } from "./types.js" */
import { byId } from "./dom.js";
import { errorSentence, t } from "./i18n.js";

const WORTH_SAYING_AFTER_MS = 1_000;

export class Status {
  #words = byId("state-words", HTMLElement);
  #announced = byId("state", HTMLElement);
  #retry = byId("retry-now", HTMLButtonElement);
  /** @type {State | null} */
  #state = null;
  /** @type {number | undefined} */
  #timer = undefined;
  #said = "";

  /** @param {() => void} retry */
  constructor(retry) {
    this.#retry.addEventListener("click", retry);
  }

  /** @param {State} state */
  show(state) {
    const before = this.#state?.phase;
    this.#state = state;
    clearTimeout(this.#timer);
    const calm = state.phase === "live" || state.phase === "closed" || this.#announced.dataset.phase === "offline";
    if (calm || before === undefined) this.#draw();
    else this.#timer = setTimeout(() => this.#draw(), WORTH_SAYING_AFTER_MS);
  }

  #draw() {
    const state = this.#state;
    if (state === null) return;
    clearTimeout(this.#timer);
    this.#announced.dataset.phase = state.phase;
    this.#words.textContent = wordsFor(state);
    this.#retry.hidden = state.phase !== "offline" && state.phase !== "closed";
    // The countdown is to be seen, not read aloud every second.
    const said = state.phase === "offline" ? t("offline_network") : wordsFor(state);
    if (said !== this.#said) byId("announced-state", HTMLElement).textContent = this.#said = said;
    if (state.phase === "offline") this.#timer = setTimeout(() => this.#draw(), 500);
  }
}

/** @param {State} state */
function wordsFor({ phase, transport, retryAt = 0, code }) {
  switch (phase) {
    case "connecting":
      return t("connecting");
    case "live":
      return transport === "websocket" ? t("connected") : t(`live_${transport}`);
    case "offline":
      return t("offline", { seconds: Math.max(1, Math.ceil((retryAt - Date.now()) / 1000)) });
    case "closed":
      return code === undefined ? t("closed") : `${t("closed")}: ${errorSentence(code)}`;
  }
}

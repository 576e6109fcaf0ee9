/**
 * A room inside any page: `<script src="https://chat.example.org/embed.js" data-room="123"></script>`.
 *
 * A button in the corner opens the room in a frame. Nothing of the server but this file is loaded before that, nothing is
 * kept in the page's storage, and no cookie is set anywhere. The frame and the page speak by `postMessage`, each to the other's
 * origin alone. docs/embed.md says what can be set, asked for and heard.
 */
(() => {
  const WORDS = {
    en: {
      chat: "Chat #{room}",
      unread_one: "{count} unread message",
      unread_other: "{count} unread messages",
      close: "Close chat",
      loading: "Loading…",
      failed: "The chat can’t be shown on this page.",
      own_page: "Open it on its own page",
    },
    zh: {
      chat: "聊天室 #{room}",
      unread_one: "{count} 条未读消息",
      unread_other: "{count} 条未读消息",
      close: "关闭聊天",
      loading: "正在加载…",
      failed: "无法在本页显示聊天室。",
      own_page: "在新页面中打开",
    },
  };
  /** After so long without a word from the room, the page says so. */
  const PATIENCE_MS = 10_000;
  const MOST_SHOWN = 99;

  const STYLE = `
    :host {
      all: initial;
      color-scheme: light dark;
      --surface: light-dark(#fff, #1b2226);
      --ink: light-dark(#1c2226, #e7ebec);
      --ink-soft: light-dark(#566067, #a3afb5);
      --line: light-dark(#d3d1cb, #3a464c);
      --accent: light-dark(#0b6b75, #6fcdd3);
      --accent-strong: light-dark(#08545c, #93dde2);
      --on-accent: light-dark(#fff, #06282c);
      --tint: light-dark(#e0f0f0, #17383c);
      font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
    }
    :host([theme="light"]) { color-scheme: light }
    :host([theme="dark"]) { color-scheme: dark }
    *, ::before, ::after { box-sizing: border-box }
    .launcher {
      position: fixed; z-index: 2147483000; inset: auto 1.25rem max(1.25rem, env(safe-area-inset-bottom)) auto;
      display: grid; place-items: center; width: 3.5rem; height: 3.5rem; padding: 0;
      border: 0; border-radius: 50%; background: var(--accent); color: var(--on-accent); cursor: pointer; font: inherit;
      box-shadow: 0 1px 2px rgb(0 0 0 / 20%), 0 6px 20px rgb(0 0 0 / 25%);
    }
    .launcher:hover { background: var(--accent-strong) }
    :host([position="left"]) .launcher { right: auto; left: 1.25rem }
    svg { width: 1.625rem; height: 1.625rem; fill: none; stroke: currentcolor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round }
    .badge {
      position: absolute; top: -0.25rem; right: -0.25rem; min-width: 1.5rem; height: 1.5rem; padding: 0 0.4rem;
      border: 2px solid var(--surface); border-radius: 99rem; background: light-dark(#b3261e, #ff9d94);
      color: light-dark(#fff, #3d0703); font-size: 0.75rem; font-weight: 700; line-height: 1.25rem; text-align: center;
    }
    .panel {
      position: fixed; z-index: 2147483000; inset: auto 1.25rem calc(max(1.25rem, env(safe-area-inset-bottom)) + 4.25rem) auto;
      width: min(25rem, calc(100vw - 2.5rem)); height: min(40rem, calc(100dvh - 7rem));
      overflow: hidden; border: 1px solid var(--line); border-radius: 1rem; background: var(--surface); color: var(--ink);
      box-shadow: 0 2px 6px rgb(0 0 0 / 12%), 0 16px 48px rgb(0 0 0 / 28%);
    }
    :host([position="left"]) .panel { right: auto; left: 1.25rem }
    /* Hidden, it keeps its size: the room inside stays scrolled to where it was. */
    :host(:not([open])) .panel { visibility: hidden; opacity: 0; transform: translateY(0.75rem) }
    iframe { position: absolute; inset: 0; width: 100%; height: 100%; border: 0; opacity: 0 }
    .ready iframe { opacity: 1 }
    .notice { position: absolute; inset: 0; display: grid; align-content: center; justify-items: center; gap: 0.5rem; margin: 0; padding: 1.5rem; color: var(--ink-soft); text-align: center }
    .ready .notice { visibility: hidden }
    .notice a { color: var(--accent); text-underline-offset: 0.15em }
    .close {
      position: absolute; z-index: 1; top: 0.5rem; right: 0.5rem; display: grid; place-items: center; width: 2.75rem; height: 2.75rem;
      padding: 0; border: 0; border-radius: 0.625rem; background: none; color: var(--ink-soft); cursor: pointer;
    }
    .close svg { width: 1.25rem; height: 1.25rem }
    .close:hover { background: var(--tint); color: var(--ink) }
    :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
    .launcher:focus-visible { outline-color: var(--ink); box-shadow: 0 0 0 2px var(--surface) }
    .said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap }
    [hidden] { display: none !important }
    @media (prefers-reduced-motion: no-preference) {
      .panel { transition: opacity 140ms ease, transform 140ms ease }
      /* Only the way out waits: what is opened takes the focus at once. */
      :host(:not([open])) .panel { transition: opacity 140ms ease, transform 140ms ease, visibility 0s 140ms }
    }
    @media (max-width: 30rem), (max-height: 24rem) {
      .panel, :host([position="left"]) .panel { inset: 0; width: 100%; height: 100%; border: 0; border-radius: 0 }
      :host([open]) .launcher { visibility: hidden }
    }
    @media (forced-colors: active) { .launcher, .close { border: 1px solid ButtonText } .badge { border-color: ButtonText } }
    @media print { :host { display: none } }
  `;

  const SVG = "http://www.w3.org/2000/svg";
  const CHAT = "M21 11.5a8 8 0 0 1-8.500 8 9 9 0 0 1-3.500-.7L4 20.500l1.400-4A8 8 0 0 1 4.500 11.500a8 8 0 0 1 8-8 8 8 0 0 1 8.500 8z";
  const DOWN = "M6 9l6 6 6-6";
  const CROSS = "M6 6l12 12M18 6 6 18";

  class RoomfulChat extends HTMLElement {
    static observedAttributes = ["open", "theme"];

    #launcher = button("launcher", CHAT);
    #badge = make("span", "badge");
    #panel = make("div", "panel");
    #notice = make("p", "notice");
    #said = make("p", "said");
    #close = button("close", CROSS);
    /** @type {HTMLIFrameElement | null} */
    #frame = null;
    #ready = false;
    #unread = 0;

    constructor() {
      super();
      const style = new CSSStyleSheet();
      style.replaceSync(STYLE);
      const root = this.attachShadow({ mode: "open" });
      // A page whose policy forbids inline styles takes these.
      root.adoptedStyleSheets = [style];
      const region = make("section");
      this.#launcher.append(this.#badge);
      this.#panel.append(this.#close, this.#notice);
      region.append(this.#launcher, this.#panel, this.#said);
      root.append(region);

      this.#badge.setAttribute("aria-hidden", "true");
      this.#panel.setAttribute("role", "dialog");
      this.#said.setAttribute("role", "status");
      this.#launcher.setAttribute("aria-haspopup", "dialog");
      this.#launcher.addEventListener("click", () => this.toggleAttribute("open"));
      this.#close.addEventListener("click", () => this.removeAttribute("open"));
      region.addEventListener("keydown", (event) => {
        if (/** @type {KeyboardEvent} */ (event).key === "Escape") this.removeAttribute("open");
      });
    }

    connectedCallback() {
      const words = this.#words();
      const name = words.chat.replace("{room}", this.#room());
      this.#panel.parentElement?.setAttribute("aria-label", name);
      this.#panel.setAttribute("aria-label", name);
      this.#close.setAttribute("aria-label", words.close);
      this.#close.title = words.close;
      this.#notice.textContent = words.loading;
      this.shadowRoot?.firstElementChild?.setAttribute("lang", this.#language());
      addEventListener("message", this.#heard);
      this.#showUnread(0);
      this.#showOpen();
      if (this.getAttribute("load") === "early") this.#load();
    }

    disconnectedCallback() {
      removeEventListener("message", this.#heard);
      this.#frame?.remove();
      this.#frame = null;
      this.#ready = false;
      this.#panel.classList.remove("ready");
    }

    /** @param {string} name */
    attributeChangedCallback(name) {
      if (!this.isConnected) return;
      if (name === "theme") return this.#tell({ type: "roomful.theme", theme: this.getAttribute("theme") ?? "auto" });
      const held = this.#panel.contains(this.shadowRoot?.activeElement ?? null);
      this.#showOpen();
      if (this.open) {
        this.#load();
        this.#frame?.focus();
      } else if (held) {
        this.#launcher.focus();
      }
      this.#tell({ type: "roomful.open", open: this.open });
      this.dispatchEvent(new Event(this.open ? "open" : "close"));
    }

    get open() {
      return this.hasAttribute("open");
    }

    set open(open) {
      this.toggleAttribute("open", open);
    }

    /** What others have said since the room was last seen. */
    get unread() {
      return this.#unread;
    }

    #room() {
      return this.getAttribute("room") ?? "";
    }

    #server() {
      return new URL(this.getAttribute("server") ?? "", location.href).origin;
    }

    /** @returns {"en" | "zh"} */
    #language() {
      const wishes = [this.getAttribute("lang"), document.documentElement.lang, ...navigator.languages];
      const known = wishes.map((wish) => wish?.slice(0, 2).toLowerCase()).find((wish) => wish === "en" || wish === "zh");
      return /** @type {"en" | "zh" | undefined} */ (known) ?? "en";
    }

    #words() {
      return WORDS[this.#language()];
    }

    #load() {
      if (this.#frame !== null) return;
      const address = new URL(`/room/${encodeURIComponent(this.#room())}/`, this.#server());
      const own = address.href;
      address.searchParams.set("embed", location.origin);
      address.searchParams.set("lang", this.#language());
      address.searchParams.set("theme", this.getAttribute("theme") ?? "auto");
      const frame = document.createElement("iframe");
      frame.title = this.#panel.getAttribute("aria-label") ?? "";
      frame.allow = "clipboard-write";
      frame.src = address.href;
      this.#frame = frame;
      this.#panel.append(frame);
      setTimeout(() => this.#ready || this.#giveUp(own), PATIENCE_MS);
    }

    /** @param {string} own the address of the room's own page */
    #giveUp(own) {
      const link = document.createElement("a");
      link.href = own;
      link.target = "_blank";
      link.rel = "noopener";
      link.textContent = this.#words().own_page;
      const sentence = make("span");
      sentence.textContent = this.#words().failed;
      this.#notice.replaceChildren(sentence, link);
      // What a browser shows in place of a page it refused must not cover that.
      if (this.#frame !== null) this.#frame.hidden = true;
    }

    /** @param {object} message */
    #tell(message) {
      if (this.#ready) this.#frame?.contentWindow?.postMessage(message, this.#server());
    }

    /** @param {MessageEvent} event of any frame or window whatever */
    #heard = ({ origin, source, data }) => {
      if (this.#frame === null || source !== this.#frame.contentWindow || origin !== this.#server()) return;
      if (data?.type === "roomful.ready") {
        this.#ready = true;
        this.#frame.hidden = false;
        this.#panel.classList.add("ready");
        if (this.open) this.#frame.focus();
        this.#tell({ type: "roomful.theme", theme: this.getAttribute("theme") ?? "auto" });
        this.#tell({ type: "roomful.open", open: this.open });
      } else if (data?.type === "roomful.unread" && Number.isSafeInteger(data.count) && data.count >= 0) {
        this.#showUnread(data.count);
      } else if (data?.type === "roomful.close") {
        this.removeAttribute("open");
      }
    };

    #showOpen() {
      this.#launcher.setAttribute("aria-expanded", String(this.open));
      this.#launcher.querySelector("path")?.setAttribute("d", this.open ? DOWN : CHAT);
    }

    /** @param {number} count */
    #showUnread(count) {
      const words = this.#words();
      const plural = new Intl.PluralRules(this.#language()).select(count) === "one" ? "unread_one" : "unread_other";
      const sentence = words[plural].replace("{count}", String(count));
      const name = this.#panel.getAttribute("aria-label") ?? "";
      this.#launcher.setAttribute("aria-label", count > 0 ? `${name}, ${sentence}` : name);
      this.#launcher.title = this.#launcher.getAttribute("aria-label") ?? "";
      this.#badge.textContent = count > MOST_SHOWN ? `${MOST_SHOWN}+` : String(count);
      this.#badge.hidden = count === 0;
      // Read aloud when the first one comes, not with each that follows.
      if (count === 0) this.#said.textContent = "";
      else if (this.#unread === 0) this.#said.textContent = `${name}, ${sentence}`;
      if (count === this.#unread) return;
      this.#unread = count;
      this.dispatchEvent(new CustomEvent("unread", { detail: { room: this.#room(), count } }));
    }
  }

  /** @param {string} tag @param {string} [name] */
  function make(tag, name) {
    const element = document.createElement(tag);
    if (name) element.className = name;
    return element;
  }

  /** @param {string} name @param {string} path */
  function button(name, path) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = name;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", path);
    svg.append(line);
    element.append(svg);
    return element;
  }

  if (customElements.get("roomful-chat") === undefined) customElements.define("roomful-chat", RoomfulChat);

  const script = document.currentScript;
  if (!(script instanceof HTMLScriptElement)) return;
  const { room, ...settings } = script.dataset;
  // A page that writes <roomful-chat> itself says there which room it wants.
  if (room === undefined) return;
  const chat = document.createElement("roomful-chat");
  chat.setAttribute("room", room);
  chat.setAttribute("server", new URL(script.src).origin);
  for (const name of ["lang", "theme", "position", "load"]) {
    const value = settings[name];
    if (value !== undefined) chat.setAttribute(name, value);
  }
  if (document.body) document.body.append(chat);
  else addEventListener("DOMContentLoaded", () => document.body.append(chat), { once: true });
})();

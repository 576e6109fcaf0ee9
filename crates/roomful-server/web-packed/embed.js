(function(){"use strict";(()=>{const p={en:{chat:"Chat #{room}",unread_one:"{count} unread message",unread_other:"{count} unread messages",close:"Close chat",loading:"Loading…",failed:"The chat can’t be shown on this page.",own_page:"Open it on its own page"},zh:{chat:"聊天室 #{room}",unread_one:"{count} 条未读消息",unread_other:"{count} 条未读消息",close:"关闭聊天",loading:"正在加载…",failed:"无法在本页显示聊天室。",own_page:"在新页面中打开"}},g=1e4,l=99,f=`
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
  `,d="http://www.w3.org/2000/svg",c="M21 11.5a8 8 0 0 1-8.500 8 9 9 0 0 1-3.500-.7L4 20.500l1.400-4A8 8 0 0 1 4.500 11.500a8 8 0 0 1 8-8 8 8 0 0 1 8.500 8z",b="M6 9l6 6 6-6",v="M6 6l12 12M18 6 6 18";class w extends HTMLElement{static observedAttributes=["open","theme"];#i=u("launcher",c);#n=s("span","badge");#t=s("div","panel");#c=s("p","notice");#o=s("p","said");#s=u("close",v);#e=null;#r=!1;#a=0;constructor(){super();const e=new CSSStyleSheet;e.replaceSync(f);const i=this.attachShadow({mode:"open"});i.adoptedStyleSheets=[e];const t=s("section");this.#i.append(this.#n),this.#t.append(this.#s,this.#c),t.append(this.#i,this.#t,this.#o),i.append(t),this.#n.setAttribute("aria-hidden","true"),this.#t.setAttribute("role","dialog"),this.#o.setAttribute("role","status"),this.#i.setAttribute("aria-haspopup","dialog"),this.#i.addEventListener("click",()=>this.toggleAttribute("open")),this.#s.addEventListener("click",()=>this.removeAttribute("open")),t.addEventListener("keydown",o=>{o.key==="Escape"&&this.removeAttribute("open")})}connectedCallback(){const e=this.#l(),i=e.chat.replace("{room}",this.#u());this.#t.parentElement?.setAttribute("aria-label",i),this.#t.setAttribute("aria-label",i),this.#s.setAttribute("aria-label",e.close),this.#s.title=e.close,this.#c.textContent=e.loading,this.shadowRoot?.firstElementChild?.setAttribute("lang",this.#h()),addEventListener("message",this.#g),this.#b(0),this.#f(),this.getAttribute("load")==="early"&&this.#p()}disconnectedCallback(){removeEventListener("message",this.#g),this.#e?.remove(),this.#e=null,this.#r=!1,this.#t.classList.remove("ready")}attributeChangedCallback(e){if(!this.isConnected)return;if(e==="theme")return this.#d({type:"roomful.theme",theme:this.getAttribute("theme")??"auto"});const i=this.#t.contains(this.shadowRoot?.activeElement??null);this.#f(),this.open?(this.#p(),this.#e?.focus()):i&&this.#i.focus(),this.#d({type:"roomful.open",open:this.open}),this.dispatchEvent(new Event(this.open?"open":"close"))}get open(){return this.hasAttribute("open")}set open(e){this.toggleAttribute("open",e)}get unread(){return this.#a}#u(){return this.getAttribute("room")??""}#m(){return new URL(this.getAttribute("server")??"",location.href).origin}#h(){return[this.getAttribute("lang"),document.documentElement.lang,...navigator.languages].map(t=>t?.slice(0,2).toLowerCase()).find(t=>t==="en"||t==="zh")??"en"}#l(){return p[this.#h()]}#p(){if(this.#e!==null)return;const e=new URL(`/room/${encodeURIComponent(this.#u())}/`,this.#m()),i=e.href;e.searchParams.set("embed",location.origin),e.searchParams.set("lang",this.#h()),e.searchParams.set("theme",this.getAttribute("theme")??"auto");const t=document.createElement("iframe");t.title=this.#t.getAttribute("aria-label")??"",t.allow="clipboard-write",t.src=e.href,this.#e=t,this.#t.append(t),setTimeout(()=>this.#r||this.#v(i),g)}#v(e){const i=document.createElement("a");i.href=e,i.target="_blank",i.rel="noopener",i.textContent=this.#l().own_page;const t=s("span");t.textContent=this.#l().failed,this.#c.replaceChildren(t,i),this.#e!==null&&(this.#e.hidden=!0)}#d(e){this.#r&&this.#e?.contentWindow?.postMessage(e,this.#m())}#g=({origin:e,source:i,data:t})=>{this.#e===null||i!==this.#e.contentWindow||e!==this.#m()||(t?.type==="roomful.ready"?(this.#r=!0,this.#e.hidden=!1,this.#t.classList.add("ready"),this.open&&this.#e.focus(),this.#d({type:"roomful.theme",theme:this.getAttribute("theme")??"auto"}),this.#d({type:"roomful.open",open:this.open})):t?.type==="roomful.unread"&&Number.isSafeInteger(t.count)&&t.count>=0?this.#b(t.count):t?.type==="roomful.close"&&this.removeAttribute("open"))};#f(){this.#i.setAttribute("aria-expanded",String(this.open)),this.#i.querySelector("path")?.setAttribute("d",this.open?b:c)}#b(e){const i=this.#l(),t=new Intl.PluralRules(this.#h()).select(e)==="one"?"unread_one":"unread_other",o=i[t].replace("{count}",String(e)),h=this.#t.getAttribute("aria-label")??"";this.#i.setAttribute("aria-label",e>0?`${h}, ${o}`:h),this.#i.title=this.#i.getAttribute("aria-label")??"",this.#n.textContent=e>l?`${l}+`:String(e),this.#n.hidden=e===0,e===0?this.#o.textContent="":this.#a===0&&(this.#o.textContent=`${h}, ${o}`),e!==this.#a&&(this.#a=e,this.dispatchEvent(new CustomEvent("unread",{detail:{room:this.#u(),count:e}})))}}function s(n,e){const i=document.createElement(n);return e&&(i.className=e),i}function u(n,e){const i=document.createElement("button");i.type="button",i.className=n;const t=document.createElementNS(d,"svg");t.setAttribute("viewBox","0 0 24 24"),t.setAttribute("aria-hidden","true");const o=document.createElementNS(d,"path");return o.setAttribute("d",e),t.append(o),i.append(t),i}customElements.get("roomful-chat")===void 0&&customElements.define("roomful-chat",w);const a=document.currentScript;if(!(a instanceof HTMLScriptElement))return;const{room:m,...x}=a.dataset;if(m===void 0)return;const r=document.createElement("roomful-chat");r.setAttribute("room",m),r.setAttribute("server",new URL(a.src).origin);for(const n of["lang","theme","position","load"]){const e=x[n];e!==void 0&&r.setAttribute(n,e)}document.body?document.body.append(r):addEventListener("DOMContentLoaded",()=>document.body.append(r),{once:!0})})()})();

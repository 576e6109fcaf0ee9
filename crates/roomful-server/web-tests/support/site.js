/**
 * Somebody else's site: other pages on another port, at two host names, of which a server may allow one.
 */
import { createServer } from "node:http";

export class Site {
  #server;
  #pages = new Map();

  static async start() {
    const site = new Site();
    site.#server = createServer((request, response) => {
      const page = site.#pages.get(request.url);
      response.writeHead(page ? 200 : 404, { "Content-Type": "text/html; charset=utf-8", ...page?.headers });
      response.end(page?.html);
    });
    await new Promise((listening) => site.#server.listen(0, "127.0.0.1", listening));
    return site;
  }

  /**
   * A page with a strict policy of its own: nothing but what the chat needs.
   * @param {string} chat where the chat server is
   * @param {{ attributes?: string, lang?: string, frames?: string[] }} [options]
   */
  page(chat, { attributes = 'data-room="help"', lang = "en", frames = [] } = {}) {
    const path = `/${this.#pages.size}`;
    const policy =
      `default-src 'none'; script-src ${chat}; frame-src ${[chat, ...frames].join(" ")}; img-src data:; style-src 'nonce-own'; ` +
      "require-trusted-types-for 'script'; trusted-types 'none'";
    const html = `<!doctype html><html lang="${lang}"><head><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Gardening</title><link rel="icon" href="data:,">
<style nonce="own">body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.6 Georgia, serif } a { color: inherit } button { font: 20px monospace; color: red }</style></head>
<body><main><h1>When to plant tomatoes</h1><p>Two weeks after the last frost, or sooner under glass. Ask us if you are not sure.</p>
<p><a href="/about">About this garden</a></p></main>
${frames.map((address) => `<iframe title="other" src="${address}"></iframe>`).join("")}
<script src="${chat}/embed.js" ${attributes}></script></body></html>`;
    this.#pages.set(path, { html, headers: { "Content-Security-Policy": policy } });
    return path;
  }

  /** A page of this HTML. @param {string} html */
  plain(html) {
    const path = `/${this.#pages.size}`;
    this.#pages.set(path, { html, headers: {} });
    return path;
  }

  /** @param {string} host @param {string} path */
  at(host, path) {
    return `http://${host}:${this.#server.address().port}${path}`;
  }

  async end() {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }
}

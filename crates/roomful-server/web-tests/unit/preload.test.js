import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const WEB = new URL("../../web/", import.meta.url);
const read = (/** @type {URL} */ url) => readFileSync(url, "utf8");

/** The modules that one imports, and those imports, and so on; not what is loaded when it is needed. */
function imports(/** @type {URL} */ url, found = new Set()) {
  if (found.has(url.href)) return found;
  found.add(url.href);
  for (const [, path] of read(url).matchAll(/^import\b[^;]*?"(\.[^"]+)";/gm)) imports(new URL(path, url), found);
  return found;
}

for (const [page, script] of [["index.html", "lobby.js"], ["status-page.html", "status-page.js"]]) {
  test(`${page} asks for all its modules at once, and for no other`, () => {
    const links = [...read(new URL(page, WEB)).matchAll(/<link rel="modulepreload" href="\/assets\/([^"]+)"/g)];
    const needed = [...imports(new URL(script, WEB))].map((href) => href.slice(WEB.href.length));
    assert.deepEqual(links.map(([, path]) => path).sort(), needed.filter((path) => path !== script).sort());
  });
}

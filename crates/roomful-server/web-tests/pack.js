/**
 * Packs the page: `node pack.js FOLDER` writes what the server sends, made of the sources in ../web. `cargo xtask pack` calls it.
 *
 * Each entry point keeps its name, so the same HTML works with the sources and with what is packed. What an entry point
 * loads later lies in `chunks/` under a name with the hash of its content. Rollup bundles, because it can be told to keep
 * what an entry point imports in one file, from which its chunks import: esbuild splits such code into many small files.
 * esbuild minifies, and bundles the style sheets.
 */
import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { rollup } from "rollup";

const WEB = fileURLToPath(new URL("../web/", import.meta.url));
/** Each is bundled alone: no page waits for a file because another page needs a part of it. */
const PAGES = ["room", "lobby", "status-page"];
/** For other sites' pages, which may stay open for weeks: one file each, so that no part is missing after an upgrade. */
const PUBLIC = /** @type {const} */ ({ client: "es", embed: "iife" });
const STYLES = ["room", "later", "lobby", "status-page", "share", "embed-frame"];
const COPIED = ["index.html", "room.html", "status-page.html", "favicon.svg"];
/** The browsers of the page's sources, whose syntax stays as it is. */
const TARGET = "esnext";

/** @type {import("rollup").Plugin} */
const minify = {
  name: "minify",
  async renderChunk(code, _, { format }) {
    return (await transform(code, { format: format === "es" ? "esm" : undefined, minify: true, charset: "utf8", target: TARGET })).code;
  },
};

/**
 * What a page imports is in its own file, all transports but the WebSocket are one chunk, and all else is as Rollup has it.
 * @param {string} name @returns {OutputOptions}
 */
function page(name) {
  return {
    format: "es",
    chunkFileNames: "chunks/[name]-[hash].js",
    hashCharacters: "base36",
    manualChunks: (id, { getModuleInfo }) => {
      if (imports(name, getModuleInfo).has(id)) return name;
      return id.startsWith(join(WEB, "transport/")) ? "transports" : undefined;
    },
  };
}

/** What an entry point imports, and those imports, and so on. @param {string} name @param {import("rollup").GetModuleInfo} info */
function imports(name, info) {
  const found = new Set([join(WEB, `${name}.js`)]);
  for (const id of found) for (const next of info(id)?.importedIds ?? []) found.add(next);
  return found;
}

/** @param {string} name @param {import("rollup").OutputOptions} output */
async function pack(name, output) {
  const input = { [name]: join(WEB, `${name}.js`) };
  const onwarn = (/** @type {import("rollup").RollupLog} */ { message }) => {
    throw new Error(message);
  };
  const bundle = await rollup({ input, plugins: [minify], onwarn });
  await bundle.write({ ...output, dir: folder, entryFileNames: "[name].js" });
}

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: node pack.js FOLDER");
await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
for (const name of PAGES) await pack(name, page(name));
for (const [name, format] of Object.entries(PUBLIC)) await pack(name, { format, inlineDynamicImports: true });
await build({
  entryPoints: STYLES.map((name) => join(WEB, `${name}.css`)),
  outdir: folder,
  bundle: true,
  minify: true,
  charset: "utf8",
  target: TARGET,
  logLevel: "warning",
});
for (const name of COPIED) await copyFile(join(WEB, name), join(folder, name));

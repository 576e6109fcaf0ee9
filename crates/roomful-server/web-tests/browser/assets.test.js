import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import { tokenizer } from "acorn";
import { suite } from "../support/suite.js";

const world = suite();
const WEB = new URL("../../web/", import.meta.url);

/** @param {string} source @returns {string[]} what a browser reads of it */
function tokens(source) {
  const all = [...tokenizer(source, { ecmaVersion: "latest", sourceType: "module" })];
  return all.map(({ type, value, start, end }) => `${type.label} ${value?.pattern ?? value ?? source.slice(start, end)}`);
}

test("scripts are sent without comments and spaces, and are the same programs", async () => {
  const files = (await readdir(WEB, { recursive: true })).filter((file) => file.endsWith(".js"));
  assert.ok(files.length > 40);
  for (const file of files) {
    const source = await readFile(new URL(file, WEB), "utf8");
    const sent = await (await fetch(`${world.server.url}/assets/${file}`)).text();
    assert.deepEqual(tokens(sent), tokens(source), file);
    assert.doesNotMatch(sent, /^\s*(\/\*\*|\/\/)/m, file);
  }
});

test("nothing but the page's own files is packed", async () => {
  for (const path of ["room.pack/gone.js", "room.pack/dom.js", "lobby.pack/lobby.js", "room.pack/../room.js", "room.pack/favicon.svg", "x.pack/"]) {
    assert.equal((await fetch(`${world.server.url}/assets/${path}`)).status, path.includes("..") ? 200 : 404, path);
  }
});

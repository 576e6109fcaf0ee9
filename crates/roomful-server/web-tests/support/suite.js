/**
 * One server and one browser for a file of tests; every test's pages are closed after it, and have to be free of errors.
 */
import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { Browser } from "./browser.js";
import { Server } from "./server.js";

/** @param {Record<string, string>} [settings] of the server */
export function suite(settings) {
  /** @type {{ server: Server, browser: Browser }} */
  const world = /** @type {any} */ ({});
  before(async () => {
    [world.server, world.browser] = await Promise.all([Server.start(settings), Browser.open()]);
  });
  afterEach(async () => {
    await world.browser.leave();
    assert.deepEqual(world.browser.complaints(), []);
  });
  after(async () => {
    await world.browser?.close();
    await world.server?.end();
  });
  return world;
}

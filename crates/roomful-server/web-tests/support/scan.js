/**
 * Reads a QR code as a phone would: from what is on the screen, by an independent reader.
 */
import jsqr from "jsqr";
import { PNG } from "pngjs";

const decode = /** @type {typeof jsqr} */ (/** @type {any} */ (jsqr).default ?? jsqr);

/** @param {import("playwright-core").Locator} picture @returns {Promise<string | undefined>} what it says */
export async function scan(picture) {
  const { data, width, height } = PNG.sync.read(await picture.screenshot());
  return decode(new Uint8ClampedArray(data), width, height)?.data;
}

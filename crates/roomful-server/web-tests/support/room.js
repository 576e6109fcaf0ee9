/**
 * What a person does and sees in a room.
 */

/** @typedef {import("playwright-core").Page} Page */

/** @param {string} url @param {string} room */
export const roomUrl = (url, room, query = "") => `${url}/room/${encodeURIComponent(room)}/${query}`;

/** @param {Page} page */
export async function live(page) {
  await page.waitForSelector("#state[data-phase=live]");
}

/** @param {Page} page @param {string} text */
export async function write(page, text) {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
}

/** Writes and waits until it is stored. @param {Page} page @param {string} text */
export async function say(page, text) {
  await write(page, text);
  await page.waitForFunction(() => document.querySelector(".pending, .failed") === null);
}

/** @param {Page} page @returns {Promise<string[]>} the texts on the page, in order */
export function texts(page) {
  return page.$$eval("#messages .text", (nodes) => nodes.map((node) => node.textContent ?? ""));
}

/** Waits until exactly these texts are on the page. @param {Page} page @param {string[]} wanted */
export async function sees(page, wanted) {
  const matches = (/** @type {string[]} */ expected) => {
    const there = [...document.querySelectorAll("#messages .text")].map((node) => node.textContent);
    return JSON.stringify(there) === JSON.stringify(expected);
  };
  await page.waitForFunction(matches, wanted).catch(async (error) => {
    throw new Error(`expected ${JSON.stringify(wanted)}, saw ${JSON.stringify(await texts(page))}`, { cause: error });
  });
}

/** @param {Page} page @param {string} text @returns the message with this text */
export function message(page, text) {
  return page.locator("#messages > li").filter({ has: page.locator(".text", { hasText: text }) }).last();
}

/** Opens a message's menu and chooses from it. @param {Page} page @param {string} text @param {string} action */
export async function choose(page, text, action) {
  const article = message(page, text).locator("article");
  await article.hover();
  await article.locator(".more").click();
  await page.getByRole("menuitem", { name: action }).click();
}

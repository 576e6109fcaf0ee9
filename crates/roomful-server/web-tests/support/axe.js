/**
 * The matrix that every page has to pass: both colour schemes, three widths, both languages.
 */
import { AxeBuilder } from "@axe-core/playwright";

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** @returns how a page is looked at, and a name for it */
export const LOOKS = ["light", "dark"].flatMap((colorScheme) =>
  [1280, 375, 320].flatMap((width) =>
    ["en-GB", "zh-CN"].map((locale) => {
      const hasTouch = width < 1280;
      const options = { colorScheme, locale, hasTouch, isMobile: hasTouch, viewport: { width, height: 720 } };
      return { name: `${colorScheme}, ${width} px, ${locale}`, options: /** @type {any} */ (options) };
    }),
  ),
);

/** @param {import("playwright-core").Page} page @returns {Promise<string[]>} what is wrong with it, frames included */
export async function violations(page) {
  const axe = new AxeBuilder({ page }).options({ resultTypes: ["violations"] }).withTags(TAGS);
  // For the sake of frames from elsewhere it opens a page of its own each time, which costs more than the look itself.
  if (page.frames().length === 1) axe.setLegacyMode();
  const { violations: found } = await axe.analyze();
  const wrong = found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  const sideways = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  return sideways ? [...wrong, "the page scrolls sideways"] : wrong;
}

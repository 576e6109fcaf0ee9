/**
 * One value over time: a heading, the value now, and a line. The line is a picture with a sentence for those who do not see it;
 * its scale stands beside it as text, so that it is as sharp and as large as all text.
 */
import { h } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 80;

/**
 * @typedef {object} Subject
 * @property {string} name
 * @property {string} about
 * @property {(value: number | null) => string} format
 * @property {number} least the scale reaches at least up to this
 * @property {(values: (number | null)[]) => string} summary
 */

export class Chart {
  element;
  #subject;
  #now = h("p", { class: "now" });
  #about;
  #top = h("span", {}, "");
  #picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  #area = svg("path", { class: "area" });
  #line = svg("path", { class: "line" });

  /** @param {Subject} subject @param {{ from: string, to: string }} span what stands at both ends of the time */
  constructor(subject, { from, to }) {
    this.#subject = subject;
    this.#about = h("p", { class: "note" }, subject.about);
    const grid = [0.25, 0.5, 0.75].map((part) => `M0 ${HEIGHT * part}H${WIDTH}`).join("");
    this.#picture.append(svg("path", { class: "grid", d: grid }), this.#area, this.#line);
    this.element = h(
      "section",
      { class: "card" },
      h("h2", {}, subject.name),
      this.#now,
      this.#about,
      h("div", { class: "plot" }, h("div", { class: "scale", "aria-hidden": "true" }, this.#top, h("span", {}, "0")), this.#picture),
      h("div", { class: "span", "aria-hidden": "true" }, h("span", {}, from), h("span", {}, to)),
    );
  }

  /** @param {string} about what is said under the value */
  set about(about) {
    this.#about.textContent = about;
  }

  /** @param {(number | null)[]} values the newest last @param {number} room how many fit */
  draw(values, room) {
    const { format, least, summary } = this.#subject;
    const most = niceAbove(Math.max(least, ...values.map((value) => value ?? 0)));
    const step = WIDTH / (room - 1);
    const points = values.map((value, index) => {
      const x = WIDTH - (values.length - 1 - index) * step;
      return value === null ? null : { x: round(x), y: round(HEIGHT - (value / most) * (HEIGHT - 2) - 1) };
    });
    const runs = unbroken(points);
    this.#line.setAttribute("d", runs.map((run) => `M${run.map(({ x, y }) => `${x} ${y}`).join("L")}h0`).join(""));
    const closed = runs.map((run) => `M${run[0].x} ${HEIGHT}L${run.map(({ x, y }) => `${x} ${y}`).join("L")}V${HEIGHT}Z`);
    this.#area.setAttribute("d", closed.join(""));
    this.#top.textContent = format(most);
    this.#now.textContent = format(values.at(-1) ?? null);
    this.#picture.setAttribute("aria-label", summary(values));
  }
}

/** @param {string} tag @param {Record<string, string>} attributes */
function svg(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** @template T @param {(T | null)[]} points @returns {T[][]} those that follow each other without a hole */
function unbroken(points) {
  /** @type {T[][]} */
  const runs = [];
  let open = false;
  for (const point of points) {
    if (point === null) {
      open = false;
    } else {
      if (!open) runs.push([]);
      runs.at(-1)?.push(point);
      open = true;
    }
  }
  return runs;
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;

/** @param {number} value @returns {number} 1, 2, 3 or 5 with zeros, the first that is not below */
function niceAbove(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 3, 5].find((factor) => factor * size >= value) ?? 10) * size;
}

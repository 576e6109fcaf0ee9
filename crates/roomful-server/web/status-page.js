/**
 * How the server is doing, drawn while the operator watches; the server measures only then.
 */

/** @import { Key } from "./i18n.js" */
/** @import { Sample } from "./status-feed.js" */
import { byId, h } from "./dom.js";
import { chooseLanguage, language, learn, t, translate } from "./i18n.js";
import { words } from "./i18n/status-page.js";
import { Chart } from "./status-chart.js";
import { Feed } from "./status-feed.js";

/** Two minutes, at a measurement a second. */
const ROOM = 120;
const IN_TABLE = 60;
const MIB = 2 ** 20;

learn(words[language]);
translate(document);
const locale = document.documentElement.lang;
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
const date = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(locale, { timeStyle: "medium" });
const length = new Intl.NumberFormat(locale, { style: "unit", unit: "minute", unitDisplay: "long" });

/** @param {(value: number) => string} format @returns {(value: number | null) => string} */
const known = (format) => (value) => (value === null ? t("status_unknown") : format(value));
const count = known((value) => whole.format(value));
const rate = known((value) => (value < 100 ? fine.format(value) : whole.format(value)));
const millis = known((value) => t("status_ms", { value: fine.format(value) }));
const mebibytes = known((value) => t("status_mib", { value: whole.format(value) }));

/** @type {{ key: Key, about: Key, format: (value: number | null) => string, least: number, of: (sample: Sample) => number | null }[]} */
const SUBJECTS = [
  { key: "status_connections", about: "status_connections_about", format: count, least: 5, of: (sample) => sample.connections },
  { key: "status_messages", about: "status_messages_about", format: rate, least: 5, of: (sample) => sample.messages_per_second },
  { key: "status_deliveries", about: "status_deliveries_about", format: rate, least: 5, of: (sample) => sample.deliveries_per_second },
  { key: "status_stored", about: "status_stored_about", format: millis, least: 5, of: (sample) => sample.stored_p99_ms },
  {
    key: "status_memory",
    about: "status_memory_about",
    format: mebibytes,
    least: 20,
    of: ({ memory_bytes }) => (memory_bytes === null ? null : memory_bytes / MIB),
  },
  { key: "status_members", about: "status_members_about", format: count, least: 5, of: (sample) => sample.members },
];

/** @type {Sample[]} the newest last */
let samples = [];
let paused = false;
let isConnected = false;

const state = byId("state", HTMLElement);
const ask = byId("ask", HTMLFormElement);
const field = byId("token", HTMLInputElement);
const pause = byId("pause", HTMLButtonElement);
const numbers = byId("numbers", HTMLDetailsElement);
const languageButton = byId("language", HTMLButtonElement);

document.title = `${t("status_title")} · Roomful`;
languageButton.textContent = t("other_language");
languageButton.title = t("switch_language");
languageButton.addEventListener("click", () => chooseLanguage(language === "zh" ? "en" : "zh"));
pause.addEventListener("click", () => {
  paused = !paused;
  pause.textContent = t(paused ? "status_resume" : "status_pause");
  showState();
  draw();
});
numbers.addEventListener("toggle", draw);

const charts = SUBJECTS.map(({ key, about, format, least }) => {
  const summary = (/** @type {(number | null)[]} */ values) => {
    const said = values.filter((value) => value !== null);
    const most = format(said.length > 0 ? Math.max(...said) : null);
    return t("status_summary", { name: t(key), now: format(values.at(-1) ?? null), most, time: length.format(2) });
  };
  const subject = { name: t(key), about: t(about, { count: 0 }), format, least, summary };
  return new Chart(subject, { from: `−${length.format(2)}`, to: t("status_now") });
});
byId("charts", HTMLElement).append(...charts.map(({ element }) => element));
const columns = [t("status_time"), ...SUBJECTS.map(({ key }) => t(key))];
byId("numbers-head", HTMLElement).append(h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name))));

const feed = new Feed({
  welcome({ version, uptime_seconds }) {
    isConnected = true;
    samples = [];
    ask.hidden = true;
    field.value = "";
    byId("about", HTMLElement).textContent = t("status_up", { version, time: date.format(Date.now() - uptime_seconds * 1000) });
    for (const id of ["charts", "numbers", "pause"]) byId(id, HTMLElement).hidden = false;
    showState();
  },
  sample(sample) {
    samples = [...samples, sample].slice(-ROOM);
    if (!paused) draw();
  },
  offline() {
    isConnected = false;
    showState();
  },
  token(wrong) {
    ask.hidden = false;
    state.textContent = "";
    byId("token-wrong", HTMLElement).textContent = wrong ? t("status_token_wrong") : "";
    field.toggleAttribute("aria-invalid", wrong);
    field.select();
  },
});
ask.addEventListener("submit", (event) => {
  event.preventDefault();
  feed.connect(field.value);
});
state.textContent = t("status_connecting");
feed.connect();

function showState() {
  const phase = !isConnected ? "offline" : paused ? "paused" : "live";
  state.dataset.phase = phase;
  state.textContent = t(`status_${phase}`);
}

function draw() {
  const newest = samples.at(-1);
  if (newest === undefined) return;
  charts[charts.length - 1].about = t("status_members_about", { count: newest.rooms });
  charts.forEach((chart, index) => chart.draw(samples.map(SUBJECTS[index].of), ROOM));
  if (!numbers.open) return;
  const rows = samples.slice(-IN_TABLE).reverse().map((sample) => {
    const cells = SUBJECTS.map(({ of, format }) => h("td", {}, format(of(sample))));
    return h("tr", {}, h("th", { scope: "row" }, clock.format(new Date(sample.at))), ...cells);
  });
  byId("numbers-body", HTMLElement).replaceChildren(...rows);
}

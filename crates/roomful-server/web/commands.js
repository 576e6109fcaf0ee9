/**
 * Commands: `/me`, `/nick`, `/topic`, `/help`. A second slash says that it is none; so does one further on, as in a path.
 */

/** @import { Key } from "./i18n.js" */
import { h } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {{ say: (text: string) => void, rename: (name: string) => void, setTopic: (text: string) => void }} Doing */

const COMMAND = /^\/([^\s/]*)(?:\s+([\s\S]*))?$/;
/** @type {Record<string, { needs?: Key, does: Key, run: (rest: string, doing: Doing) => void }>} */
const COMMANDS = {
  me: { needs: "command_me_needs", does: "command_me", run: (rest, { say }) => say(`/me ${rest}`) },
  nick: { needs: "command_nick_needs", does: "command_nick", run: (rest, { rename }) => rename(rest) },
  topic: { does: "command_topic", run: (rest, { setTopic }) => setTopic(rest.replace(/\s+/g, " ")) },
  help: { does: "command_help", run: () => help() },
};

/**
 * Does what the text says.
 * @param {string} text begins with a slash
 * @param {Doing} doing
 * @returns {string | null} why it did nothing
 */
export function run(text, doing) {
  if (text.startsWith("//")) {
    const said = text.slice(1);
    // On its way, `/me` says what somebody does; with a backslash it is only words.
    doing.say(said.startsWith("/me ") ? `\\${said}` : said);
    return null;
  }
  const [, name = "", rest = ""] = COMMAND.exec(text) ?? [];
  if (name === "") return doing.say(text), null;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) return t("command_unknown", { command: `/${name}` });
  if (command.needs && rest === "") return t(command.needs);
  command.run(rest, doing);
  return null;
}

/** @param {string} beginning @returns {import("./suggest.js").Proposal[]} */
export function commandsBeginningWith(beginning) {
  const names = Object.keys(COMMANDS).filter((name) => `/${name}`.startsWith(beginning));
  return names.map((name) => {
    const { does } = COMMANDS[name];
    return { label: `/${name}`, note: t(does), from: 0, text: name === "help" ? "/help" : `/${name} ` };
  });
}

function help() {
  const rows = [
    ...Object.entries(COMMANDS).map(([name, { does }]) => [`/${name}`, t(does)]),
    ["//", t("help_slashes")],
    ["@", t("help_mention")],
    ["**b** *i* ~~s~~ `c`", t("help_marks")],
    ["> - 1. ```", t("help_blocks")],
    ["↑", t("help_arrow")],
    ["⇧ ⏎", t("help_newline")],
  ];
  const terms = rows.flatMap(([term, words]) => [h("dt", {}, h("code", { dir: "ltr" }, term)), h("dd", {}, words)]);
  const heading = h("h2", { id: "help-heading" }, t("help_title"));
  const close = h("button", { class: "primary" }, t("close"));
  const form = h("form", { method: "dialog" }, heading, h("dl", { class: "help" }, ...terms), h("div", { class: "row" }, close));
  const dialog = h("dialog", { id: "help", class: "box", "aria-labelledby": heading.id }, form);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/**
 * The names rooms can have: 1 to 64 letters or digits of any script, `_`, `-` or `.`, not beginning with a combining
 * mark, and not `.` or `..`.
 */

const LONGEST = 64;

/** @param {string} wish @returns {string} the nearest name a room can have; empty where there is none */
export function suggestName(wish) {
  const joined = wish.trim().normalize().replace(/^#+/, "").replace(/[\s/]+/gu, "-");
  const allowed = joined.replace(/[^\p{Alphabetic}\p{N}\p{M}_.-]/gu, "").replace(/^\p{M}+/u, "");
  const name = [...allowed].slice(0, LONGEST).join("");
  return /[\p{Alphabetic}\p{N}]/u.test(name) ? name : "";
}

/** @param {string} room @returns {string} where its page is */
export const pathOf = (room) => `/room/${encodeURIComponent(room)}/`;

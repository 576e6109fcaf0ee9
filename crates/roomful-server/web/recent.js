/**
 * The rooms this device has been in, the latest first.
 */
import { recallJson, remember } from "./storage.js";

const KEY = "roomful:recent";
const KEPT = 8;

/** @returns {string[]} */
export const recentRooms = () => recallJson(KEY, /** @type {string[]} */ ([])).slice(0, KEPT);

/** @param {string} room */
export function rememberRoom(room) {
  const others = recentRooms().filter((other) => other !== room);
  remember(KEY, JSON.stringify([room, ...others].slice(0, KEPT)));
}

export const forgetRooms = () => remember(KEY, null);

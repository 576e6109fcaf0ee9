/**
 * What the device remembers. Storage may be forbidden or full (private windows, frames without storage access);
 * then things live as long as the page, and nothing breaks.
 */

/** @type {Map<string, string>} */
const forThisPage = new Map();

/** @param {string} key @returns {string | null} */
export function recall(key) {
  try {
    return localStorage.getItem(key) ?? forThisPage.get(key) ?? null;
  } catch {
    return forThisPage.get(key) ?? null;
  }
}

/** @param {string} key @param {string | null} value `null` forgets */
export function remember(key, value) {
  if (value === null) forThisPage.delete(key);
  else forThisPage.set(key, value);
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // The copy for this page is all there is.
  }
}

/** @param {string} prefix @returns {string[]} the keys that begin with it, sorted */
export function recallKeys(prefix) {
  const keys = new Set(forThisPage.keys());
  try {
    for (let i = 0; i < localStorage.length; i += 1) {
      const key = localStorage.key(i);
      if (key !== null) keys.add(key);
    }
  } catch {
    // As above.
  }
  return [...keys].filter((key) => key.startsWith(prefix)).sort();
}

/**
 * A value kept as JSON; `fallback` where there is none or it cannot be read.
 * @template T
 * @param {string} key
 * @param {T} fallback
 * @returns {T}
 */
export function recallJson(key, fallback) {
  const kept = recall(key);
  if (kept === null) return fallback;
  try {
    return JSON.parse(kept);
  } catch {
    return fallback;
  }
}

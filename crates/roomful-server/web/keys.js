/**
 * What a key press means to somebody who writes.
 */

/**
 * Whether an input method is at work, and the key is its own: Enter then picks a word. `isComposing` alone is not
 * enough: Safari ends the composition before it tells of the key, and only the old key code 229 gives it away.
 * @param {KeyboardEvent} event
 */
function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}

/**
 * Whether the key press sends the text. Enter does; with Shift it is a new line, and on a touch screen it is one too,
 * since there is a button. With Ctrl or ⌘ it always sends.
 * @param {KeyboardEvent} event
 */
export function sends(event) {
  if (event.key !== "Enter" || isComposing(event) || event.shiftKey || event.altKey) return false;
  return event.ctrlKey || event.metaKey || !matchMedia("(pointer: coarse)").matches;
}

/** @param {KeyboardEvent} event @param {string} key */
export function isPlain(event, key) {
  const modified = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey;
  return event.key === key && !modified && !isComposing(event);
}

/** Whether the key press takes what is marked in a list of proposals. @param {KeyboardEvent} event */
export function accepts(event) {
  return isPlain(event, "Enter") || isPlain(event, "Tab");
}

/**
 * Telling somebody who looks elsewhere: a notification where they are called, a short sound where they want one. Both
 * only after they asked for it.
 */

/** @import { MessageView } from "./types.js" */
import { byId } from "./dom.js";
import { nameOf, oneLine } from "./message.js";
import { recall } from "./storage.js";

export const canNotify = () => "Notification" in globalThis && isSecureContext;

/** Asks, where nobody has asked yet. @returns {Promise<boolean>} */
export async function mayNotify() {
  return canNotify() && (await Notification.requestPermission()) === "granted";
}

/**
 * Who asked to be told is told: by a notification where they look elsewhere and are called, by a sound where either is so.
 * @param {MessageView} message @param {boolean} calls whether it is meant for this person @param {() => void} pressed
 */
export function attract(message, calls, pressed) {
  const wants = (/** @type {string} */ what) => recall(`roomful:${what}`) === "on";
  if (wants("sound") && (document.hidden || calls)) blip();
  if (wants("notify") && document.hidden && calls && canNotify() && Notification.permission === "granted") notify(message, pressed);
}

/** @param {MessageView} message @param {() => void} pressed */
function notify(message, pressed) {
  const room = byId("room-name", HTMLElement).textContent ?? "";
  try {
    const body = oneLine(message).slice(0, 200);
    const note = new Notification(`${nameOf(message.from.name)} · ${room}`, { body, tag: `roomful:${room}`, icon: "/assets/favicon.svg" });
    note.onclick = () => {
      note.close();
      focus();
      pressed();
    };
  } catch {
    // Some browsers of telephones have the constructor and refuse to use it outside of a service worker.
  }
}

/** @type {AudioContext | undefined} */
let sounds;

/** Two soft notes, made here: no file. */
export function blip() {
  sounds ??= new AudioContext();
  // Before the first press of a key or a button, browsers keep pages silent.
  void sounds.resume();
  const now = sounds.currentTime;
  const volume = new GainNode(sounds, { gain: 0 });
  volume.connect(sounds.destination);
  volume.gain.setValueAtTime(0, now);
  volume.gain.linearRampToValueAtTime(0.08, now + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, now + 0.3);
  const tone = new OscillatorNode(sounds, { frequency: 660 });
  tone.frequency.setValueAtTime(880, now + 0.09);
  tone.connect(volume);
  tone.start(now);
  tone.stop(now + 0.32);
  tone.onended = () => volume.disconnect();
}

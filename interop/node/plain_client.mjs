/**
 * A member of a room who speaks plain text, with Node's `ws`.
 *
 * Usage: plain_client.mjs [ws://HOST/room/ROOM/], or the address in ROOMFUL_URL.
 *
 * Each line of standard input is said. Printed, one JSON object a line: {"connected": true}, {"heard": TEXT} and
 * {"closed": CODE}. The end of the input closes the connection.
 */

import { createInterface } from "node:readline";
import WebSocket from "ws";

const report = (what) => console.log(JSON.stringify(what));

const socket = new WebSocket(process.argv[2] ?? process.env.ROOMFUL_URL);
socket.on("open", () => {
  report({ connected: true });
  createInterface({ input: process.stdin })
    .on("line", (text) => socket.send(text))
    .on("close", () => socket.close(1000));
});
socket.on("message", (data) => report({ heard: data.toString() }));
socket.on("close", (code) => report({ closed: code }));

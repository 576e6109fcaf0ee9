/**
 * Long polling: the server holds each request until there is something to say.
 */

/** @import { Ears } from "../types.js" */
/** @import { Api } from "../http.js" */
import { PollTransport } from "./poll.js";

/** Under the 30 seconds after which many proxies give up. */
const HELD_SECONDS = 25;

export class LongPollTransport extends PollTransport {
  /** @param {Ears} ears @param {Api} api */
  constructor(ears, api) {
    super(ears, api, "longpoll", HELD_SECONDS);
  }
}

/**
 * The client module: a room of a Roomful server, for any page. No dependency; import it and talk.
 *
 * ```js
 * import { Room } from "https://chat.example/assets/client.js";
 *
 * const room = new Room({ room: "123", name: "Ana", baseUrl: "https://chat.example" });
 * room.on("history", ({ messages }) => messages.forEach(show));   // the newest page, once
 * room.on("message", (event) => show(event));                     // then every message, once, in order
 * room.on("state", ({ phase, retryAt }) => …);                    // connecting, live, offline, closed
 * room.connect();
 * const id = room.say("hi");                                      // at once; "said" or "failed" follows
 * ```
 *
 * It keeps the promises of the room's log on every transport: nothing missed, nothing twice, one order. What is said
 * while the network is away waits, survives a reload, and is stored once.
 */

/** @import { Action, EventsPage, Limits, Member, MessagesPage, Position, RoomEvent } from "./types.js" */
/** @import { ServerMessage, State, TransportKind, Welcome, You } from "./types.js" */
import { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { Api, ApiError } from "./http.js";
import { Ladder } from "./ladder.js";
import { RoomLog } from "./log.js";
import { Members } from "./members.js";
import { newId, Outbox } from "./outbox.js";
import { recall, remember } from "./storage.js";
import { Topic } from "./topic.js";

/**
 * What a room tells. `history`: the newest page, at the beginning. `gap`: the newest page again, because the room went
 * on too far, or began anew, while this page was away; it replaces what was shown. `message`, `edited`, `deleted` and
 * `reacted`: the log, in order, once each. `topic`: what the room is about, as it becomes known; with the `event` of the
 * log where it is news. `said`: what you did is stored. `failed`: it was refused for good, or
 * something without an id was. `members`: who is here has changed, however it became known.
 *
 * @typedef {object} RoomEvents
 * @property {Welcome} welcome
 * @property {MessagesPage} history
 * @property {MessagesPage & { missed: number | null }} gap
 * @property {RoomEvent} message
 * @property {RoomEvent} edited
 * @property {RoomEvent} deleted
 * @property {RoomEvent} reacted
 * @property {{ text: string, event?: RoomEvent }} topic
 * @property {{ id: string, seq: number | null, at: string, action?: Action }} said
 * @property {{ id?: string, code: string, action?: Action }} failed
 * @property {Action} pending
 * @property {Member} joined
 * @property {Member} left
 * @property {{ member: Member, was: string }} renamed
 * @property {Member} typing
 * @property {Members} members
 * @property {State} state
 */

/** Refusals that time heals: the action stays pending and is sent again. */
const TEMPORARY = new Set(["incomplete_request", "rate_limited", "store_unavailable", "shutting_down", "internal_error"]);
const TYPING_EVERY_MS = 3_000;
const MEMBERS_EVERY_MS = 10_000;
const EVENT_WITHIN_MS = 2_000;

/** @extends {Emitter<RoomEvents>} */
export class Room extends Emitter {
  members = new Members();
  /** @type {Limits | null} */
  limits = null;
  /** @type {{ id?: string, name: string, token?: string }} */
  #you;
  #tokenKey;
  #api;
  #log;
  #outbox;
  #connection;
  #topic = new Topic();
  #typedAt = 0;
  /** What the room has not answered yet. */
  #wishedName = "";
  #membersAt = 0;

  /**
   * @param {object} options
   * @param {string} options.room
   * @param {string} options.name how this member wants to be called
   * @param {string} [options.token] of an earlier visit; without it, the one kept on this device
   * @param {TransportKind | "auto"} [options.transport]
   * @param {string} [options.baseUrl] the server's origin, where it is not the page's
   */
  constructor({ room, name, token, transport = "auto", baseUrl = location.origin }) {
    super();
    const base = new URL(baseUrl).origin;
    this.#tokenKey = `roomful:token:${base}`;
    this.#you = { name, token: token ?? recall(this.#tokenKey) ?? undefined };
    this.#api = new Api(base, room, () => this.#you.token);
    this.#log = new RoomLog(this.#api, (event) => this.#deliver(event), (page, before) => this.#restarted(page, before));
    this.#outbox = new Outbox(base === location.origin ? room : `${base}:${room}`);
    const socketUrl = `${base.replace(/^http/, "ws")}/room/${encodeURIComponent(room)}/`;
    this.#connection = new Connection(
      {
        position: () => this.#log.position,
        identity: () => ({ name: this.#you.name, token: this.#you.token }),
        opened: (welcome) => this.#opened(welcome),
        heard: (message) => this.#heard(message),
        caughtUp: (page) => this.#caughtUp(page),
        stored: (action, answer) => this.#stored(action, answer),
        refused: (id, code, retryAfterMs) => this.#refused(id, code, retryAfterMs),
        tokenRefused: () => this.#forgetToken(),
        state: (state) => this.#changed(state),
      },
      this.#api,
      this.#log,
      new Ladder(transport),
      socketUrl,
    );
  }

  /** Who this member is; `id` is known after the first welcome, or the first message over HTTP. */
  get you() {
    return this.#you;
  }

  get state() {
    return this.#connection.state;
  }

  /** @returns {Position | null} up to where everything has been delivered */
  get position() {
    return this.#log.position;
  }

  /** What the room is about; empty where nobody said so. */
  get topic() {
    return this.#topic.text;
  }

  /** What was done here and is not known to be stored: waiting, or refused (then it has an `error`). */
  get unsettled() {
    return this.#outbox.all();
  }

  connect() {
    this.#connection.open();
  }

  /** Leaves the room. What is pending stays on the device. */
  close() {
    this.#connection.close();
  }

  /** Does not wait for the next try. */
  retryNow() {
    this.#connection.retryNow();
  }

  /** @param {string} text @param {{ replyTo?: number }} [options] @returns {string} its id */
  say(text, { replyTo } = {}) {
    this.#typedAt = 0;
    return this.#do({ kind: "say", text, reply_to: replyTo });
  }

  /** @param {number} seq @param {string} text */
  edit(seq, text) {
    return this.#do({ kind: "edit", seq, text });
  }

  /** @param {number} seq */
  delete(seq) {
    return this.#do({ kind: "delete", seq });
  }

  /** @param {number} seq @param {string} emoji @param {boolean} on */
  react(seq, emoji, on) {
    return this.#do({ kind: "react", seq, emoji, on });
  }

  /** Says what the room is about. @param {string} text at most 250 characters; none takes it back */
  setTopic(text) {
    return this.#do({ kind: "topic", text });
  }

  /** Tries again what was refused, under the same id. @param {string} id */
  retry(id) {
    const action = this.#outbox.get(id);
    if (action === undefined) return;
    const { error: _, ...again } = action;
    this.#outbox.put(again);
    this.emit("pending", again);
    this.#connection.live?.send(again);
  }

  /** Gives up what is not stored. @param {string} id */
  discard(id) {
    this.#outbox.settle(id);
  }

  /** Call it on every key: it speaks only every few seconds. */
  typing() {
    const now = Date.now();
    if (now - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = now;
    this.#connection.live?.signal({ type: "chat.typing" });
  }

  /** @param {string} name */
  rename(name) {
    this.#you.name = this.#wishedName = name;
    this.#connection.live?.signal({ type: "chat.rename", name });
  }

  /** A name that came too soon after the last one is asked for again. */
  #renameLater(afterMs = 1_000) {
    setTimeout(() => this.#wishedName && this.rename(this.#wishedName), afterMs);
  }

  /** The messages before one, as they read now. @param {{ before: number, limit?: number }} query */
  async history(query) {
    return this.#api.messages(query);
  }

  /** @param {Omit<Action, "id" | "at">} what */
  #do(what) {
    const action = { ...what, id: newId(), at: new Date().toISOString() };
    this.#outbox.put(action);
    this.emit("pending", action);
    this.#connection.live?.send(action);
    return action.id;
  }

  /** @param {Welcome} welcome */
  #opened(welcome) {
    if (welcome.you) this.#know(welcome.you);
    if (welcome.limits) this.limits = welcome.limits;
    if (welcome.members) this.members.replace(welcome.members, welcome.member_count ?? welcome.members.length);
    else if (welcome.member_count !== undefined) void this.#askMembers();
    if (welcome.epoch !== null && !this.#log.knows(welcome)) this.#mend(this.#log.restart());
    if (welcome.topic === undefined) void this.#askTopic();
    else this.#learnTopic(welcome.topic, welcome);
    this.emit("welcome", welcome);
    this.emit("members", this.members);
  }

  /** @param {State} state */
  #changed(state) {
    this.emit("state", state);
    const { live } = this.#connection;
    if (live) this.#outbox.pending().forEach((action) => live.send(action));
  }

  /** @param {ServerMessage} message */
  #heard(message) {
    switch (message.type) {
      case "chat.said":
        return this.#said(message.id, message.seq, message.at);
      case "chat.error":
        if (message.id !== undefined) return this.#refused(message.id, message.code, message.retry_after_ms);
        if (message.code === "rate_limited" && this.#wishedName) return this.#renameLater(message.retry_after_ms);
        return this.emit("failed", { code: message.code });
      case "chat.resync":
        return this.#mend(this.#log.catchUp());
      case "chat.joined":
        this.members.join(message.member);
        this.emit("joined", message.member);
        return this.emit("members", this.members);
      case "chat.left":
        this.members.leave(message.member);
        this.emit("left", message.member);
        return this.emit("members", this.members);
      case "chat.renamed":
        this.members.rename(message.member);
        if (message.member.id === this.#you.id) this.#wishedName = "";
        this.emit("renamed", { member: message.member, was: message.was });
        return this.emit("members", this.members);
      case "chat.typing":
        return this.emit("typing", message.member);
      case "chat.message":
      case "chat.edited":
      case "chat.deleted":
      case "chat.reacted":
      case "chat.topic":
        return this.#mend(this.#log.take(message));
    }
  }

  /** @param {EventsPage} page */
  async #caughtUp(page) {
    await this.#log.takePage(page);
    if (Date.now() - this.#membersAt >= MEMBERS_EVERY_MS) void this.#askMembers();
  }

  /** Joining and leaving have no numbers: where they do not arrive, one asks. A failure is the next request's to notice. */
  async #askMembers() {
    this.#membersAt = Date.now();
    const here = await this.#api.members().catch(() => null);
    if (here === null) return;
    this.members.replace(here.members, here.count);
    this.emit("members", this.members);
  }

  /** Where the welcome does not say it, one asks. */
  async #askTopic() {
    const info = await this.#api.info().catch(() => null);
    if (info !== null) this.#learnTopic(info.topic, info);
  }

  /** @param {string} text @param {{ epoch: string | null, seq: number | null }} at @param {RoomEvent} [event] */
  #learnTopic(text, at, event) {
    if (this.#topic.learn(text, at) || event) this.emit("topic", { text: this.#topic.text, event });
  }

  /** @param {Action} action @param {RoomEvent & { you?: You }} answer */
  #stored(action, { you, ...event }) {
    if (you) this.#know(you);
    this.#said(action.id, event.seq ?? null, event.at);
    this.#mend(this.#log.take(event));
  }

  /** @param {string} id @param {number | null} seq @param {string} at */
  #said(id, seq, at) {
    this.emit("said", { id, seq, at, action: this.#outbox.settle(id) });
    // Stored, so the log has it: if it does not come by itself, ask.
    const missing = () => seq !== null && this.#log.position !== null && this.#log.position.seq < seq;
    if (missing()) setTimeout(() => missing() && this.#mend(this.#log.catchUp()), EVENT_WITHIN_MS);
  }

  /** @param {string} id @param {string} code @param {number} [retryAfterMs] */
  #refused(id, code, retryAfterMs = 1_000) {
    const action = this.#outbox.get(id);
    if (action === undefined) return;
    if (TEMPORARY.has(code)) {
      const { live } = this.#connection;
      // After a reconnect it is sent anyway.
      const stillThere = () => live !== null && live === this.#connection.live && this.#outbox.get(id) !== undefined;
      setTimeout(() => stillThere() && live?.send(action), retryAfterMs);
      return;
    }
    const failed = { ...action, error: code };
    this.#outbox.put(failed);
    this.emit("failed", { id, code, action: failed });
  }

  /** @param {RoomEvent} event */
  #deliver(event) {
    // An event with our id is our action stored, even if its acknowledgement was lost.
    if (event.id !== undefined) this.#outbox.settle(event.id);
    if (event.type === "chat.topic") {
      const at = { epoch: this.#log.position?.epoch ?? null, seq: event.seq ?? null };
      return this.#learnTopic(event.text ?? "", at, event);
    }
    const name = /** @type {"message" | "edited" | "deleted" | "reacted"} */ (event.type.slice("chat.".length));
    this.emit(name, event);
  }

  /** @param {MessagesPage} page @param {Position | null} before */
  #restarted(page, before) {
    for (const { id } of page.messages) this.#outbox.settle(id);
    if (before === null) return this.emit("history", page);
    // It may have changed among what is not told any more.
    void this.#askTopic();
    this.emit("gap", { ...page, missed: page.epoch === before.epoch ? page.seq - before.seq : null });
  }

  /** @param {You} you */
  #know(you) {
    this.#you = { ...you };
    remember(this.#tokenKey, you.token);
  }

  /** @returns {boolean} whether there was one */
  #forgetToken() {
    const had = this.#you.token !== undefined;
    this.#you = { name: this.#you.name };
    remember(this.#tokenKey, null);
    return had;
  }

  /** @param {Promise<void> | null} filling */
  #mend(filling) {
    const { current } = this.#connection;
    filling?.catch((error) => {
      if (!(error instanceof ApiError)) reportError(error);
      if (current === this.#connection.current) this.#connection.abandon();
    });
  }
}

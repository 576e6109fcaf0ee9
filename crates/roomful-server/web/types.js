/**
 * The shapes that travel, as types for the checker. Nothing here runs and no page loads this file.
 *
 * They mirror `protocol.rs`; DESIGN.md section 4 says what they mean.
 */

/** @typedef {{ id: string, name: string }} Member */
/** @typedef {Member & { token: string }} You */
/** @typedef {{ message_bytes: number, messages_per_second: number, burst: number }} Limits */
/** @typedef {{ epoch: string, seq: number }} Position */

/**
 * An event of the room's log. One without `seq` was not stored: it is shown, and nobody can catch up with it.
 * @typedef {object} RoomEvent
 * @property {"chat.message" | "chat.edited" | "chat.deleted" | "chat.reacted" | "chat.topic"} type
 * @property {string} room
 * @property {number} [seq]
 * @property {string} [id]
 * @property {Member} from
 * @property {string} at
 * @property {string} [text]
 * @property {number} [reply_to]
 * @property {number} [target]
 * @property {string} [emoji]
 * @property {boolean} [on]
 */

/**
 * A message as it reads now.
 * @typedef {object} MessageView
 * @property {number} seq
 * @property {string} id
 * @property {Member} from
 * @property {string} at
 * @property {string} text
 * @property {number} [reply_to]
 * @property {string} [edited_at]
 * @property {boolean} [deleted]
 * @property {{ emoji: string, members: string[] }[]} [reactions]
 * @property {boolean} [unsaved] set by the page for a message without a number
 * @property {boolean} [topic] set by the page: not a message, but the line that says what the room is about from here on
 */

/**
 * A part of the log. `seq`: how far it reaches, `head`: how far the room is.
 * @typedef {{ room: string, epoch: string | null, seq: number, head: number, recovered: boolean, events: RoomEvent[] }} EventsPage
 */
/** @typedef {{ epoch: string | null, seq: number, messages: MessageView[] }} MessagesPage */
/** @typedef {{ count: number, members: Member[] }} MembersPage */
/** @typedef {{ room: string, epoch: string | null, seq: number, members: number, topic: string, last_at?: string }} RoomInfo */

/**
 * `chat.welcome`; a poll knows only its first three fields, a stream has `member_count` too.
 * @typedef {object} Welcome
 * @property {string | null} epoch
 * @property {number | null} seq
 * @property {boolean} recovered
 * @property {string} [topic]
 * @property {You} [you]
 * @property {Member[]} [members]
 * @property {number} [member_count]
 * @property {Limits} [limits]
 */

/**
 * Everything the server says on a live transport.
 * @typedef {RoomEvent
 *   | (Welcome & { type: "chat.welcome" })
 *   | { type: "chat.said", id: string, seq: number | null, at: string }
 *   | { type: "chat.joined" | "chat.left" | "chat.typing", member: Member }
 *   | { type: "chat.renamed", member: Member, was: string }
 *   | { type: "chat.error", code: string, message: string, id?: string, retry_after_ms?: number }
 *   | { type: "chat.resync", seq: number | null }
 *   | { type: "chat.bye", reconnect: boolean, after_ms: number }
 *   | { type: "chat.pong" }} ServerMessage
 */

/**
 * Something this member wants to do to the record; it keeps its id over every retry.
 * @typedef {object} Action
 * @property {string} id
 * @property {"say" | "edit" | "delete" | "react" | "topic"} kind
 * @property {string} [text]
 * @property {number} [reply_to]
 * @property {number} [seq]
 * @property {string} [emoji]
 * @property {boolean} [on]
 * @property {string} at when it was asked for, by this device's clock
 * @property {string} [error] the code of a final refusal; without it the action is pending
 */

/**
 * How a transport ended. `comeBack: false` means the server wants this member to stay away.
 * @typedef {{ comeBack: boolean, afterMs?: number, code?: string }} End
 */

/**
 * What a transport asks of the room and tells it.
 * @typedef {object} Ears
 * @property {() => Position | null} position
 * @property {() => { name: string, token?: string }} identity
 * @property {(welcome: Welcome) => void} opened
 * @property {(message: ServerMessage) => void} heard
 * @property {(page: EventsPage) => Promise<void>} caughtUp resolves once the page, and any hole before it, is applied
 * @property {(action: Action, answer: RoomEvent & { you?: You }) => void} stored
 * @property {(id: string, code: string, retryAfterMs?: number) => void} refused
 * @property {(end: End) => void} ended
 */

/**
 * A way to the room. `ended` is called at most once, and never after `stop`.
 * @typedef {object} Transport
 * @property {TransportKind} kind
 * @property {() => void} start
 * @property {() => void} stop
 * @property {() => void} nudge the network or the page came back: find out now whether the way still works
 * @property {(action: Action) => void} send
 * @property {(signal: { type: "chat.typing" } | { type: "chat.rename", name: string }) => void} signal
 */

/** @typedef {"websocket" | "sse" | "longpoll" | "poll"} TransportKind */

/**
 * @typedef {{ phase: "connecting" | "live" | "offline" | "closed", transport: TransportKind, retryAt?: number, code?: string }} State
 */

export {};

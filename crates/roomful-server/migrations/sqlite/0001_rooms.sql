-- A room is a log. `events` is the log; `messages` and `reactions` say how it reads now, and point into it.
-- Texts of messages are kept in `events` alone, so that wiping one there wipes it everywhere.

PRAGMA application_id = 0x526f6f6d; -- "Room"

-- One row: what names this store.
CREATE TABLE store (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    epoch  TEXT NOT NULL,                      -- names the life of all numbers below
    secret BLOB NOT NULL                       -- 32 bytes; signs guests' tokens
) STRICT;

CREATE TABLE rooms (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    head     INTEGER NOT NULL,                 -- the newest number given; survives pruning
    first    INTEGER NOT NULL,                 -- the oldest number kept; head + 1 where nothing is
    first_at INTEGER,                          -- when `first` was stored; NULL where nothing is kept
    last_at  INTEGER NOT NULL,                 -- when `head` was stored; milliseconds since 1970, as all times here
    messages INTEGER NOT NULL,                 -- kept and not deleted
    topic    TEXT NOT NULL DEFAULT ''          -- as it reads now; survives the pruning of the event that set it
) STRICT;
CREATE INDEX rooms_by_last_at ON rooms (last_at);
CREATE INDEX rooms_by_first_at ON rooms (first_at) WHERE first_at IS NOT NULL;

CREATE TABLE events (
    room      INTEGER NOT NULL,                -- rooms.id
    seq       INTEGER NOT NULL,                -- from 1, without holes
    kind      INTEGER NOT NULL,                -- 1 message, 2 edited, 3 deleted, 4 reacted, 5 topic
    author    TEXT NOT NULL,
    client_id TEXT NOT NULL,
    name      TEXT NOT NULL,                   -- the author's name then
    at        INTEGER NOT NULL,                -- never before the event before it
    text      TEXT,                            -- kinds 1, 2 and 5; '' once the message is deleted
    reply_to  INTEGER,                         -- kind 1
    target    INTEGER,                         -- kinds 2, 3 and 4: the message's seq
    emoji     TEXT,                            -- kind 4
    is_on     INTEGER,                         -- kind 4: 1 set, 0 taken back
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX events_once ON events (room, author, client_id);
-- Finds all versions of a text when it has to go.
CREATE INDEX edits_by_target ON events (room, target) WHERE kind = 2;

CREATE TABLE messages (
    room    INTEGER NOT NULL,
    seq     INTEGER NOT NULL,                  -- of the event that said it
    edited  INTEGER,                           -- of the newest edit, which has the text as it reads now
    deleted INTEGER,                           -- of the deletion
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE reactions (
    room   INTEGER NOT NULL,
    seq    INTEGER NOT NULL,                   -- of the message
    emoji  TEXT NOT NULL,
    member TEXT NOT NULL,
    event  INTEGER NOT NULL,                   -- of the event that set it: the order they came in
    PRIMARY KEY (room, seq, emoji, member)
) STRICT, WITHOUT ROWID;

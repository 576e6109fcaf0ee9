-- A room is a log. `events` is the log; `messages` and `reactions` say how it reads now, and point into it.
-- Texts of messages are kept in `events` alone, so that wiping one there wipes it everywhere.
-- Texts that people wrote may hold U+0000, which PostgreSQL's do not: U+10FFFF and `0` stand for it, U+10FFFF and `1` for
-- U+10FFFF itself. Names are compared byte by byte (COLLATE "C"): nodes lock rooms in the order of their names.

-- One row: what names this store.
CREATE TABLE roomful.store (
    id     smallint PRIMARY KEY CHECK (id = 1),
    epoch  text NOT NULL,                        -- names the life of all numbers below
    secret bytea NOT NULL                        -- 32 bytes; signs guests' tokens
);

CREATE TABLE roomful.rooms (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text COLLATE "C" NOT NULL UNIQUE,
    head     bigint NOT NULL DEFAULT 0,          -- the newest number given; survives pruning
    first    bigint NOT NULL DEFAULT 1,          -- the oldest number kept; head + 1 where nothing is
    first_at bigint,                             -- when `first` was stored; NULL where nothing is kept
    last_at  bigint NOT NULL DEFAULT 0,          -- when `head` was stored; milliseconds since 1970, as all times here
    messages bigint NOT NULL DEFAULT 0,          -- kept and not deleted
    topic    text NOT NULL DEFAULT ''            -- as it reads now; survives the pruning of the event that set it
);
CREATE INDEX rooms_by_last_at ON roomful.rooms (last_at, id);
CREATE INDEX rooms_by_first_at ON roomful.rooms (first_at) WHERE first_at IS NOT NULL;

CREATE TABLE roomful.events (
    room      bigint NOT NULL,                   -- rooms.id
    seq       bigint NOT NULL,                   -- from 1, without holes
    kind      smallint NOT NULL,                 -- 1 message, 2 edited, 3 deleted, 4 reacted, 5 topic
    author    text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    name      text NOT NULL,                     -- the author's name then
    at        bigint NOT NULL,                   -- never before the event before it
    text      text,                              -- kinds 1, 2 and 5; '' once the message is deleted
    reply_to  bigint,                            -- kind 1
    target    bigint,                            -- kinds 2, 3 and 4: the message's seq
    emoji     text,                              -- kind 4
    is_on     boolean,                           -- kind 4: set, or taken back
    PRIMARY KEY (room, seq)
);
CREATE UNIQUE INDEX events_once ON roomful.events (room, author, client_id);
-- Finds all versions of a text when it has to go.
CREATE INDEX edits_by_target ON roomful.events (room, target) WHERE kind = 2;

CREATE TABLE roomful.messages (
    room    bigint NOT NULL,
    seq     bigint NOT NULL,                     -- of the event that said it
    edited  bigint,                              -- of the newest edit, which has the text as it reads now
    deleted bigint,                              -- of the deletion
    PRIMARY KEY (room, seq)
);

CREATE TABLE roomful.reactions (
    room   bigint NOT NULL,
    seq    bigint NOT NULL,                      -- of the message
    emoji  text COLLATE "C" NOT NULL,
    member text COLLATE "C" NOT NULL,
    event  bigint NOT NULL,                      -- of the event that set it: the order they came in
    PRIMARY KEY (room, seq, emoji, member)
);

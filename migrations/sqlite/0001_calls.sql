-- Users, chats, calls, their records, and the outbox: as the Postgres schema; stamps are epoch milliseconds.

-- epoch changes when the database is restored from a backup: connected pages then take a snapshot.
CREATE TABLE installation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL
);
INSERT INTO installation (id, epoch) VALUES (1, 1);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    avatar TEXT,
    guest BOOLEAN NOT NULL DEFAULT FALSE,
    login TEXT UNIQUE,
    password_hash TEXT,
    created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    last_seen_at INTEGER,
    UNIQUE (issuer, subject),
    CHECK ((login IS NULL) = (password_hash IS NULL))
);

CREATE TABLE chats (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL CHECK (type IN ('direct', 'group', 'room')),
    name TEXT,
    direct_key TEXT UNIQUE, -- both user ids, ordered: one direct chat per pair
    message_seq INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    updated_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    CHECK ((type = 'direct') = (direct_key IS NOT NULL)),
    CHECK (type = 'direct' OR name IS NOT NULL)
);
CREATE UNIQUE INDEX chats_room_name ON chats (name) WHERE type = 'room';

CREATE TABLE chat_participants (
    chat_id TEXT NOT NULL REFERENCES chats (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    joined_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    last_read_seq INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (chat_id, user_id)
);
CREATE INDEX chat_participants_user ON chat_participants (user_id);

CREATE TABLE calls (
    id TEXT PRIMARY KEY,
    chat_id TEXT NOT NULL REFERENCES chats (id),
    room_name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL CHECK (type IN ('audio', 'video')),
    initiated_by TEXT NOT NULL REFERENCES users (id),
    status TEXT NOT NULL,
    end_reason TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    ended_by TEXT REFERENCES users (id),
    locked BOOLEAN NOT NULL DEFAULT FALSE,
    group_rules BOOLEAN NOT NULL,
    caller_lost_deadline INTEGER,
    alone_ask_deadline INTEGER,
    alone_end_deadline INTEGER,
    max_deadline INTEGER,
    next_deadline INTEGER, -- the least of all deadlines of the call and its participants
    rev INTEGER NOT NULL,
    node_id TEXT,
    lease_until INTEGER,
    CONSTRAINT calls_status CHECK (
        (status = 'ringing' AND end_reason IS NULL AND started_at IS NULL AND ended_at IS NULL)
        OR (status = 'ongoing' AND end_reason IS NULL AND started_at IS NOT NULL AND ended_at IS NULL)
        OR (status = 'ended' AND started_at IS NOT NULL AND ended_at IS NOT NULL
            AND end_reason IS NOT NULL
            AND end_reason IN ('hangup', 'last_left', 'moderator', 'max_duration', 'connection_lost'))
        OR (status = 'rejected' AND started_at IS NULL AND ended_at IS NOT NULL
            AND end_reason IS NOT NULL AND end_reason IN ('declined', 'busy', 'timeout'))
        OR (status = 'cancelled' AND started_at IS NULL AND ended_at IS NOT NULL
            AND end_reason IS NOT NULL AND end_reason IN ('caller_cancelled', 'caller_lost'))
        OR (status = 'failed' AND ended_at IS NOT NULL
            AND end_reason IS NOT NULL AND end_reason IN ('media_failed', 'server_lost'))
    ),
    CONSTRAINT calls_order CHECK (
        (started_at IS NULL OR started_at >= created_at)
        AND (ended_at IS NULL OR ended_at >= COALESCE(started_at, created_at))
    ),
    CONSTRAINT calls_live CHECK ((status IN ('ringing', 'ongoing')) = (node_id IS NOT NULL AND lease_until IS NOT NULL)),
    CONSTRAINT calls_due CHECK (status IN ('ringing', 'ongoing') OR next_deadline IS NULL)
);
CREATE UNIQUE INDEX calls_one_live_per_chat ON calls (chat_id) WHERE status IN ('ringing', 'ongoing');
CREATE INDEX calls_next_deadline ON calls (next_deadline) WHERE next_deadline IS NOT NULL;
CREATE INDEX calls_node ON calls (node_id) WHERE node_id IS NOT NULL;
CREATE INDEX calls_chat ON calls (chat_id, created_at);
CREATE INDEX calls_initiator ON calls (initiated_by, created_at);

CREATE TABLE call_participants (
    call_id TEXT NOT NULL REFERENCES calls (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    status TEXT NOT NULL CHECK (status IN
        ('invited', 'ringing', 'joined', 'reconnecting', 'left', 'kicked', 'declined', 'busy', 'missed')),
    role TEXT NOT NULL CHECK (role IN ('initiator', 'member')),
    device_id TEXT,
    joined_at INTEGER,
    left_at INTEGER,
    duration_ms INTEGER NOT NULL DEFAULT 0 CHECK (duration_ms >= 0),
    duration INTEGER GENERATED ALWAYS AS (duration_ms / 1000) STORED, -- whole seconds
    invited_by TEXT REFERENCES users (id),
    admitted BOOLEAN NOT NULL DEFAULT FALSE,
    socket_lost BOOLEAN NOT NULL DEFAULT FALSE,
    media TEXT NOT NULL DEFAULT 'none' CHECK (media IN ('none', 'connected', 'lost')),
    mutes TEXT NOT NULL DEFAULT '{}', -- source -> moderator who muted it
    hand_at INTEGER,
    ring_deadline INTEGER,
    rejoin_deadline INTEGER,
    media_deadline INTEGER,
    node_id TEXT,
    lease_until INTEGER,
    PRIMARY KEY (call_id, user_id),
    CONSTRAINT call_participants_seat_has_device CHECK ((device_id IS NOT NULL) = (status IN ('joined', 'reconnecting'))),
    CONSTRAINT call_participants_seat_has_node CHECK (
        (node_id IS NOT NULL AND lease_until IS NOT NULL) = (status IN ('joined', 'reconnecting'))),
    CONSTRAINT call_participants_seat_times CHECK (status NOT IN ('joined', 'reconnecting') OR joined_at IS NOT NULL),
    CONSTRAINT call_participants_ring CHECK ((ring_deadline IS NOT NULL) = (status IN ('invited', 'ringing'))),
    CONSTRAINT call_participants_rejoin CHECK (rejoin_deadline IS NULL OR status = 'reconnecting'),
    CONSTRAINT call_participants_media CHECK (media_deadline IS NULL OR status IN ('joined', 'reconnecting'))
);
CREATE UNIQUE INDEX call_participants_one_seat ON call_participants (user_id) WHERE status IN ('joined', 'reconnecting');
CREATE INDEX call_participants_ringing ON call_participants (user_id) WHERE status IN ('invited', 'ringing');
CREATE INDEX call_participants_ring_due ON call_participants (ring_deadline) WHERE ring_deadline IS NOT NULL;
CREATE INDEX call_participants_rejoin_due ON call_participants (rejoin_deadline) WHERE rejoin_deadline IS NOT NULL;
CREATE INDEX call_participants_media_due ON call_participants (media_deadline) WHERE media_deadline IS NOT NULL;

CREATE TABLE call_events (
    call_id TEXT NOT NULL REFERENCES calls (id),
    seq INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    user_id TEXT REFERENCES users (id),
    metadata TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    PRIMARY KEY (call_id, seq)
);
-- Append-only. The retention and erasure jobs pass by a row in erasure_pass, made and removed in their own transaction.
CREATE TABLE erasure_pass (id INTEGER PRIMARY KEY);
CREATE TRIGGER call_events_no_update BEFORE UPDATE ON call_events WHEN NOT EXISTS (SELECT 1 FROM erasure_pass)
BEGIN SELECT RAISE(ABORT, 'call_events is append-only'); END;
CREATE TRIGGER call_events_no_delete BEFORE DELETE ON call_events WHEN NOT EXISTS (SELECT 1 FROM erasure_pass)
BEGIN SELECT RAISE(ABORT, 'call_events is append-only'); END;

-- WHIP and WHEP sessions: not seats.
CREATE TABLE call_resources (
    id TEXT PRIMARY KEY,
    call_id TEXT NOT NULL REFERENCES calls (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL CHECK (kind IN ('publisher', 'viewer')),
    node_id TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
);
CREATE INDEX call_resources_live ON call_resources (call_id) WHERE ended_at IS NULL;

CREATE TABLE messages (
    id TEXT PRIMARY KEY,
    chat_id TEXT NOT NULL REFERENCES chats (id),
    seq INTEGER NOT NULL, -- order within the chat, from 1
    sender_id TEXT NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL CHECK (kind IN ('text', 'call')),
    call_id TEXT UNIQUE REFERENCES calls (id),
    content TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (chat_id, seq),
    CHECK ((kind = 'call') = (call_id IS NOT NULL))
);

-- The outbox: gapless per user, because the counter row is taken last and held until the commit.
CREATE TABLE user_event_counters (
    user_id TEXT PRIMARY KEY REFERENCES users (id),
    last_seq INTEGER NOT NULL
);
CREATE TABLE user_events (
    user_id TEXT NOT NULL REFERENCES users (id),
    seq INTEGER NOT NULL,
    op TEXT NOT NULL,
    call_id TEXT,
    rev INTEGER,
    payload TEXT NOT NULL,
    ring_deadline INTEGER, -- of an incoming_call: ringMsLeft is computed from it when it is sent
    created_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, seq)
);

CREATE TABLE client_commands (
    user_id TEXT NOT NULL REFERENCES users (id),
    command_id TEXT NOT NULL,
    op TEXT NOT NULL,
    result TEXT,
    created_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000 AS INTEGER)),
    PRIMARY KEY (user_id, command_id)
);
CREATE INDEX client_commands_age ON client_commands (created_at);

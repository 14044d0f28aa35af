-- Rooms with a lobby, the waiting list of a call, and guests by link.
ALTER TABLE chats ADD COLUMN lobby BOOLEAN NOT NULL DEFAULT FALSE CHECK (NOT lobby OR type = 'room');

-- user -> {device, since, deadline, admitted}. In the row of the call, because it changes with it and is nearly always empty.
ALTER TABLE calls ADD COLUMN waiting JSONB NOT NULL DEFAULT '{}'
    CONSTRAINT calls_waiting CHECK (status IN ('ringing', 'ongoing') OR waiting = '{}');

CREATE TABLE guest_links (
    id TEXT PRIMARY KEY,
    chat_id TEXT NOT NULL REFERENCES chats (id),
    created_by TEXT NOT NULL REFERENCES users (id),
    code_hash TEXT NOT NULL UNIQUE, -- SHA-256 of the code, which only the link has
    password_hash TEXT,
    max_uses BIGINT CHECK (max_uses > 0), -- none: any number
    uses BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    revoked_at TIMESTAMPTZ,
    CONSTRAINT guest_links_uses CHECK (uses >= 0 AND (max_uses IS NULL OR uses <= max_uses))
);
CREATE INDEX guest_links_chat ON guest_links (chat_id, created_at);

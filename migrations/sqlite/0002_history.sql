-- Each person's own history of calls, missed calls they have not seen, texts written in a call; and an index for whatever
-- runs per command, per lease or per hour.
ALTER TABLE call_participants ADD COLUMN called_at INTEGER NOT NULL DEFAULT 0; -- calls.created_at
UPDATE call_participants SET called_at = (SELECT created_at FROM calls WHERE calls.id = call_participants.call_id);
ALTER TABLE call_participants ADD COLUMN seen BOOLEAN NOT NULL DEFAULT FALSE; -- of a missed call
CREATE INDEX call_participants_history ON call_participants (user_id, called_at DESC, call_id);
CREATE INDEX call_participants_unseen ON call_participants (user_id, called_at) WHERE status = 'missed' AND NOT seen;
CREATE INDEX call_participants_node ON call_participants (node_id) WHERE node_id IS NOT NULL;
CREATE INDEX call_resources_node ON call_resources (node_id) WHERE ended_at IS NULL;

ALTER TABLE messages ADD COLUMN in_call TEXT REFERENCES calls (id);
CREATE INDEX messages_in_call ON messages (in_call, seq) WHERE in_call IS NOT NULL;

-- What the retention job asks for.
CREATE INDEX user_events_age ON user_events (created_at);
CREATE INDEX call_events_age ON call_events (created_at);

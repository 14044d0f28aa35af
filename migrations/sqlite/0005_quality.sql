-- How good each participant's connection was, minute by minute: why yesterday's call was bad.
CREATE TABLE call_quality (
    call_id TEXT NOT NULL REFERENCES calls (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    minute INTEGER NOT NULL, -- its beginning
    good_ms INTEGER NOT NULL, -- time of it with each score, 4 to 1; together less than a minute for who was not there all of it
    fair_ms INTEGER NOT NULL,
    poor_ms INTEGER NOT NULL,
    bad_ms INTEGER NOT NULL,
    reason TEXT, -- why it was not good, for most of that time
    PRIMARY KEY (call_id, user_id, minute),
    CONSTRAINT call_quality_reason CHECK (reason IS NULL OR reason IN ('lost', 'loss', 'delay', 'bandwidth', 'cpu')),
    CONSTRAINT call_quality_times CHECK (good_ms >= 0 AND fair_ms >= 0 AND poor_ms >= 0 AND bad_ms >= 0)
);
CREATE INDEX call_quality_user ON call_quality (user_id); -- erasure
CREATE INDEX call_quality_age ON call_quality (minute); -- retention

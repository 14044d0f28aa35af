-- Tokens of who was erased open nothing, however long they are good: without this, a host's token or a guest's would make the account anew.
CREATE TABLE erased_subjects (
    digest TEXT PRIMARY KEY, -- SHA-256 of issuer and subject: nobody can be named from it
    erased_at TIMESTAMPTZ NOT NULL -- a token that was issued later is one of somebody who came back
);

-- +goose Up

-- Who did what. One row for each change, and for what has no event: keys, tokens, readings of connection data, retries. Its
-- request is what the log calls so too.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    env     INTEGER NOT NULL REFERENCES environments (id),
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    request TEXT    NOT NULL,
    address TEXT    NOT NULL,
    call    TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    result  TEXT    NOT NULL
);
CREATE INDEX audit_at ON audit (env, at);

-- The services that an event which names none is for, as a JSON list. Events from before this column have NULL, and are for
-- all.
ALTER TABLE outbox ADD COLUMN services TEXT;

-- What is written to see whether there is room for a change.
CREATE TABLE probes (
    env    INTEGER NOT NULL PRIMARY KEY REFERENCES environments (id),
    at     INTEGER NOT NULL,
    filler BLOB    NOT NULL
);

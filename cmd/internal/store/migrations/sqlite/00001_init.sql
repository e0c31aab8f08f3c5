-- +goose Up

-- The oldest program that may work on this schema, as the number of the newest migration that it knows. A migration that
-- only adds leaves it; one that takes something away raises it.
CREATE TABLE schema_floor (oldest INTEGER NOT NULL);
INSERT INTO schema_floor (oldest) VALUES (1);

-- One row for each environment. revision is that of the newest event, tenants how many there have ever been; canary is a
-- known text under the environment's encryption key.
CREATE TABLE environments (
    id       INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE,
    epoch    TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    tenants  INTEGER NOT NULL,
    canary   BLOB    NOT NULL
);

-- How far the relay is, apart from environments so that it does not wait for changes. sent and pruned are the newest such
-- revisions.
CREATE TABLE relays (
    env    INTEGER NOT NULL PRIMARY KEY REFERENCES environments (id),
    sent   INTEGER NOT NULL,
    pruned INTEGER NOT NULL,
    pinged INTEGER NOT NULL
);

-- All times are microseconds since 1970, UTC. seq is the order of creation.
CREATE TABLE tenants (
    env        INTEGER NOT NULL REFERENCES environments (id),
    seq        INTEGER NOT NULL,
    id         TEXT    NOT NULL,
    canonical  TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    slug       TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    isolation  TEXT    NOT NULL,
    metadata   TEXT    NOT NULL,
    owner      BLOB    NOT NULL,
    search     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (env, seq),
    UNIQUE (env, canonical),
    UNIQUE (env, slug)
);

CREATE TABLE associations (
    env            INTEGER NOT NULL,
    service        TEXT    NOT NULL,
    tenant         INTEGER NOT NULL,
    status         TEXT    NOT NULL,
    isolation_mode TEXT    NOT NULL,
    settings       BLOB    NOT NULL,
    rotations      INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (env, service, tenant),
    FOREIGN KEY (env, tenant) REFERENCES tenants (env, seq) ON DELETE CASCADE
);
CREATE INDEX associations_of_tenant ON associations (env, tenant);
CREATE INDEX associations_active ON associations (env, service, tenant) WHERE status = 'active';

-- The revision at which the list of a service changed last.
CREATE TABLE active_sets (
    env      INTEGER NOT NULL REFERENCES environments (id),
    service  TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (env, service)
);

CREATE TABLE outbox (
    env            INTEGER NOT NULL REFERENCES environments (id),
    revision       INTEGER NOT NULL,
    data           BLOB    NOT NULL,
    committed_at   INTEGER NOT NULL,
    sent_at        INTEGER,
    attempts       INTEGER NOT NULL DEFAULT 0,
    failure        TEXT    NOT NULL DEFAULT '',
    quarantined_at INTEGER,
    PRIMARY KEY (env, revision)
);
CREATE INDEX outbox_pending ON outbox (env, revision) WHERE sent_at IS NULL AND quarantined_at IS NULL;
CREATE INDEX outbox_quarantined ON outbox (env, revision) WHERE quarantined_at IS NOT NULL;
CREATE INDEX outbox_sent ON outbox (env, sent_at) WHERE sent_at IS NOT NULL;

-- API keys, and tokens, whose service is empty.
CREATE TABLE keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    env        INTEGER NOT NULL REFERENCES environments (id),
    service    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    digest     BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER,
    last_used  INTEGER
);
CREATE INDEX keys_of_service ON keys (env, service, created_at);

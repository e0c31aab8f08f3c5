-- +goose Up

-- How many tenants the list of a service has, and the XOR of the digests of their ids, after the change at counted_at in the
-- epoch counted_in. They hold while counted_at is the revision of the row and counted_in the epoch of its environment: programs
-- from before these columns raise the revision alone, and then the list is counted again.
ALTER TABLE active_sets ADD COLUMN tenants    BIGINT NOT NULL DEFAULT 0;
ALTER TABLE active_sets ADD COLUMN digest     BIGINT NOT NULL DEFAULT 0;
ALTER TABLE active_sets ADD COLUMN counted_at BIGINT NOT NULL DEFAULT -1;
ALTER TABLE active_sets ADD COLUMN counted_in TEXT   NOT NULL DEFAULT '';

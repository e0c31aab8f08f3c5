-- +goose Up

-- The server that the last relay has led on, as PostgreSQL tells itself from others: the first one on another has to wait
-- until whoever led before knows. Empty: nobody has.
ALTER TABLE relays ADD COLUMN server TEXT NOT NULL DEFAULT '';

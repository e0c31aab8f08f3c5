-- +goose Up

-- The connections with their limits for each module, and with the digest of the settings that were written with them. Programs
-- from before it know settings alone, and go on with those.
ALTER TABLE associations ADD COLUMN connections BLOB;

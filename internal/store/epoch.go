package store

import (
	"encoding/binary"
	"strings"

	"github.com/google/uuid"
)

// newEpoch is that of an environment that is begun.
func newEpoch() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// laterEpoch is that of an environment that had one before. It has the time in it, as UUIDs of version 7 do.
func laterEpoch() (string, error) {
	id, err := uuid.NewV7()
	return strings.ReplaceAll(id.String(), "-", ""), err
}

// versionOf is that of a secret that an event announces. It is the revision in the first epoch, and after that the revision after
// the microseconds since 1970 at which the epoch began: revisions begin again, and a backup does not know which versions were
// given after it. So none comes twice unless the clock was set back, or there were a million events a second.
func versionOf(epoch string, revision uint64) uint64 {
	id, err := uuid.Parse(epoch)
	if err != nil || id.Version() != 7 {
		return revision
	}
	millis := binary.BigEndian.Uint64(id[:8]) >> 16
	return millis*1000 + revision
}

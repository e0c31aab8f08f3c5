package store

import (
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

package store

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// newEpoch is that of an environment that is begun.
func newEpoch() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// laterEpoch is that of an environment that was at a version before. It is a UUID of version 7, whose time is in microseconds; where
// the clock was set back, that time is the first after the versions of secrets that were given before.
func laterEpoch(before tenant.Version) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", err
	}
	at := max(uint64(time.Now().UnixMicro()), contract.SecretVersion(before)+1)
	fraction := (at%1000*4096 + 999) / 1000 // of a millisecond, as RFC 9562 has it, rounded up
	binary.BigEndian.PutUint64(id[:], at/1000<<16|7<<12|fraction)
	return hex.EncodeToString(id[:]), nil
}

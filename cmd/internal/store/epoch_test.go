package store

import (
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestX20AnEpochGivesNoVersionOfASecretTwice, however soon it follows the one before, and where the clock was set back.
func TestX20AnEpochGivesNoVersionOfASecretTwice(t *testing.T) {
	future := "04cc2a8b-f000-7fff-8000-000000000000" // a clock that was far ahead
	for name, before := range map[string]tenant.Version{
		"of the first epoch": {Epoch: newEpoch(), Revision: 40}, "of one in the future": {Epoch: future, Revision: 5_000},
	} {
		t.Run(name, func(t *testing.T) {
			for range 1000 {
				epoch, err := laterEpoch(before)
				do(t, err)
				next := tenant.Version{Epoch: epoch}
				if got, last := contract.SecretVersion(next), contract.SecretVersion(before); got <= last {
					t.Fatalf("%s begins at %d, and %d was given before it", epoch, got, last)
				}
				before = tenant.Version{Epoch: epoch, Revision: 3}
			}
		})
	}
}

func TestX20AnEpochTellsWhenItBegan(t *testing.T) {
	from := time.Now().UnixMicro()
	epoch, err := laterEpoch(tenant.Version{Epoch: newEpoch(), Revision: 40})
	do(t, err)
	if got := int64(contract.SecretVersion(tenant.Version{Epoch: epoch})); got < from || got > time.Now().UnixMicro() { //nolint:gosec // microseconds
		t.Errorf("it tells %d, and began after %d", got, from)
	}
}

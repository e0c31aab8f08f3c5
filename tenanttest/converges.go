package tenanttest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// convergePoll is how often Converges looks.
const convergePoll = 5 * time.Millisecond

// Set is a set of tenants for [Converges] to check: a *discovery.TenantDiscovery, or a set that your own worker keeps.
type Set interface {
	// ActiveTenantIDs returns the ids in any order and any spelling.
	ActiveTenantIDs() []string
}

// Converges waits until the set has exactly the tenants that manager has as active for the service, whatever faults are
// set. If that takes longer than within, it fails the test and reports the difference. In a bubble of testing/synctest
// it waits in the time of the bubble.
func Converges(t testing.TB, set Set, manager *Manager, service string, within time.Duration) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	poll := time.NewTicker(convergePoll)
	defer poll.Stop()
	for {
		missing, surplus := compare(set.ActiveTenantIDs(), manager.Active(service))
		if len(missing)+len(surplus) == 0 {
			return
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("not converged within %v: missing %s; not to be there %s", within, some(missing), some(surplus))
		}
	}
}

func compare(have []string, truth []tenant.Summary) (missing, surplus []string) {
	left := make(map[string]string, len(have))
	for _, id := range have {
		left[tenant.CanonicalID(id)] = id
	}
	for _, row := range truth {
		if _, there := left[tenant.CanonicalID(row.ID)]; !there {
			missing = append(missing, row.ID)
		}
		delete(left, tenant.CanonicalID(row.ID))
	}
	for _, id := range left {
		surplus = append(surplus, id)
	}
	slices.Sort(surplus)
	return missing, surplus
}

// some names the first few.
func some(ids []string) string {
	const most = 10
	switch {
	case len(ids) == 0:
		return "none"
	case len(ids) > most:
		return strings.Join(ids[:most], " ") + " …"
	default:
		return strings.Join(ids, " ")
	}
}

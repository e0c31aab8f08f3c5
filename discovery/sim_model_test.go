package discovery_test

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// simTenants is how many tenants a simulation knows, t0 and on.
const simTenants = 32

// tenantSet is a set of them, a bit for each.
type tenantSet uint64

var simIDs = func() (ids [simTenants]string) {
	for i := range ids {
		ids[i] = "t" + strconv.Itoa(i)
	}
	return ids
}()

// spellings is in how many ways a UUID is spelled here.
const spellings = 4

// spelled returns the nth tenant's UUID in one of its spellings.
func spelled(n, way int) string { return simUUIDs[n][uint(way)%spellings] }

var simUUIDs = func() (ids [simTenants][spellings]string) {
	for n := range ids {
		id := fmt.Sprintf("0197f0c5-1111-7abc-8def-%012x", 0xabc000+n)
		ids[n] = [spellings]string{id, strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), strings.ToUpper(strings.ReplaceAll(id, "-", ""))}
	}
	return ids
}()

// simNumbers are the places of all ids that the simulation names.
var simNumbers = func() map[string]int {
	numbers := make(map[string]int)
	for n := range simTenants {
		numbers[simIDs[n]] = n
		for _, id := range simUUIDs[n] {
			numbers[id] = n
		}
	}
	return numbers
}()

// numberOf returns the place of the id, and false for what the simulation did not name.
func numberOf(id string) (int, bool) {
	n, ok := simNumbers[id]
	return n, ok
}

// bit is the set of one tenant. An id that is none of the simulation's is the highest bit, which is never true.
func bit(id string) tenantSet {
	n, ok := numberOf(id)
	if !ok {
		return 1 << 63
	}
	return 1 << n
}

func setOf(ids iter.Seq[string]) (s tenantSet) {
	for id := range ids {
		s |= bit(id)
	}
	return s
}

func (s tenantSet) String() string {
	var ids []string
	for i, id := range &simIDs {
		if s&(1<<i) != 0 {
			ids = append(ids, id)
		}
	}
	if s&(1<<63) != 0 {
		ids = append(ids, "(an id that never was)")
	}
	return "{" + strings.Join(ids, " ") + "}"
}

// truth is the manager's data as a log: what was true after each of its revisions, through all epochs.
type truth struct {
	sets []tenantSet
	ever tenantSet
	at   int // the revision that the discovery has shown last
}

func newTruth() *truth { return &truth{sets: []tenantSet{0}} }

func (t *truth) now() tenantSet { return t.sets[len(t.sets)-1] }

func (t *truth) commit(s tenantSet) {
	t.sets = append(t.sets, s)
	t.ever |= s
}

// after returns what an event makes of the truth.
func (t *truth) after(evt tenant.Event, concerns bool) tenantSet {
	now, which := t.now(), bit(evt.TenantID)
	switch evt.EventType {
	case tenant.EventServiceAssociated, tenant.EventServiceReactivated:
		if concerns {
			return now | which
		}
	case tenant.EventServiceDisassociated, tenant.EventServiceSuspended, tenant.EventServicePurged:
		if concerns {
			return now &^ which
		}
	case tenant.EventSuspended, tenant.EventDeleted:
		return now &^ which
	default:
	}
	return now
}

// shows holds that a set, which is said to be complete, was the truth at one revision, no earlier than the last one.
func (t *truth) shows(set tenantSet) error {
	for r, was := range t.sets[t.at:] {
		if was == set {
			t.at += r
			return nil
		}
	}
	return fmt.Errorf("live, and the set %v was the truth at no revision from %d on: %v", set, t.at, t.sets[t.at:])
}

// invented holds that nothing shows that never was true.
func (t *truth) invented(set tenantSet) error {
	if never := set &^ t.ever; never != 0 {
		return fmt.Errorf("%v is in the set and was never true", never)
	}
	return nil
}

// tally folds what a watcher is told, and complains when Added and Removed do not alternate.
type tally struct {
	name string
	late bool // what was there in the beginning was not told

	mu           sync.Mutex
	active       tenantSet
	known        tenantSet          // of which active says something, where late
	spelled      [simTenants]string // as each that is active was told; empty where it was not
	reconfigured [simTenants]int
	closed       bool
	complaint    error
}

func (y *tally) tell(kind tenant.Kind, id string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	which := bit(id)
	if y.late && y.known&which == 0 {
		y.known |= which
		if kind != tenant.Added {
			y.active |= which
		}
	}
	wrong := (y.active&which != 0) != (kind != tenant.Added)
	switch {
	case y.complaint != nil:
	case y.closed:
		y.complaint = fmt.Errorf("%s was told %s %s after Close", y.name, kind, id)
	case wrong:
		y.complaint = fmt.Errorf("%s was told %s %s when it was not to be", y.name, kind, id)
	}
	n, ok := numberOf(id)
	if !ok {
		return // which is complained of elsewhere
	}
	if before := y.spelled[n]; kind != tenant.Added && before != "" && before != id && y.complaint == nil {
		y.complaint = fmt.Errorf("%s was told of %s as %s", y.name, before, id)
	}
	y.spelled[n] = id
	switch kind {
	case tenant.Added:
		y.active |= which
	case tenant.Removed:
		y.active &^= which
		y.spelled[n] = ""
	case tenant.Reconfigured:
		y.reconfigured[n]++
	}
}

// knows lets the tally begin with what was there and is not told.
func (y *tally) knows(set tenantSet) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.late, y.active = false, set
}

// err is what the tally complains of.
func (y *tally) err() error {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.complaint
}

// believes holds that what was told, folded, is the set.
func (y *tally) believes(set tenantSet) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	of := ^tenantSet(0)
	if y.late {
		of = y.known
	}
	if y.active&of != set&of {
		return fmt.Errorf("%s believes in %v, the set is %v", y.name, y.active&of, set&of)
	}
	return nil
}

func (y *tally) close() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.closed = true
}

func (y *tally) reconfigurations(n int) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.reconfigured[n]
}

package discovery_test

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/schedule"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// simManager is the tenant manager of the first layer: the least that makes events and lists.
type simManager struct {
	versions bool
	plain    bool // its lists have none
	truth    *truth
	tenants  simTable
	before   []simTable     // after each revision of all epochs
	log      []tenant.Event // of each of them; that of a restore is none
	epoch    int
	start    int            // where in the truth the epoch begins
	starts   map[string]int // and where each one did
	earlier  int            // where the one before began
	serial   int            // of the last event that was published
	made     int            // events
	dated    bool
	offset   time.Duration // of its clock
	skewed   bool          // the clock has jumped

	spelled    bool // its ids are UUIDs, which events and lists spell as they like
	anonymous  bool // its events have no ids
	configured bool // its events name its environment, or none

	rotations [simTenants]int
	named     [simTenants]int // how often each was given a name
}

// simTable is what the manager knows of each tenant.
type simTable [simTenants]struct{ exists, suspended, associated, paused bool }

// simList is an answer of it.
type simList struct {
	rows              []tenant.Summary
	version           tenant.Version
	etag, environment string
}

// with is what comes with the list.
func (l simList) with() tenant.Snapshot {
	return tenant.Snapshot{Version: l.version, ETag: l.etag, Environment: l.environment}
}

// simEnvironment is the one of the discovery, where one is configured.
const simEnvironment = "test"

// eventArchived is one that the reader does not know.
const eventArchived tenant.EventType = "tenant.archived"

var (
	forUs    = []byte(`{"service_name":"` + service + `"}`)
	forOther = []byte(`{"service_name":"another"}`)
)

func newSimManager(w schedule.World, t *truth) *simManager {
	return &simManager{
		versions: w.Has("versions") || w.Has("mixed"), plain: w.Has("mixed"), dated: !w.Has("undated"),
		spelled: w.Has("spelled"), anonymous: w.Has("anonymous"), configured: w.Has("configured"),
		truth: t, before: make([]simTable, 1), log: make([]tenant.Event, 1), starts: make(map[string]int),
	}
}

// id is that of the nth tenant, in one of its spellings.
func (m *simManager) id(n, way int) string {
	if m.spelled {
		return spelled(n, way)
	}
	return simIDs[n]
}

// change makes one, and returns its events: none where it is not possible.
func (m *simManager) change(what string, n int, now time.Time) []tenant.Event {
	t := &m.tenants[n]
	listed := t.exists && !t.suspended && t.associated && !t.paused
	switch {
	case what == "add" && !t.exists:
		t.exists = true
		created := m.event(tenant.EventCreated, n, nil, now)
		t.associated = true
		return []tenant.Event{created, m.event(tenant.EventServiceAssociated, n, forUs, now)}
	case what == "suspend" && t.exists && !t.suspended:
		t.suspended = true
		return []tenant.Event{m.event(tenant.EventSuspended, n, nil, now)}
	case what == "reactivate" && t.suspended:
		t.suspended = false
		if !t.associated || t.paused {
			return []tenant.Event{m.event(tenant.EventActivated, n, nil, now)}
		}
		t.suspended = true
		first := m.event(tenant.EventActivated, n, nil, now)
		t.suspended = false
		second := m.event(tenant.EventServiceReactivated, n, forUs, now)
		second.TenantSlug = "reactivated"
		return []tenant.Event{first, second}
	case what == "delete" && t.exists:
		*t = simTable{}[0]
		return []tenant.Event{m.event(tenant.EventDeleted, n, nil, now)}
	case what == "pause" && listed:
		t.paused = true
		return []tenant.Event{m.event(tenant.EventServiceSuspended, n, forUs, now)}
	case what == "resume" && t.exists && !t.suspended && t.paused:
		t.paused = false
		return []tenant.Event{m.event(tenant.EventServiceReactivated, n, forUs, now)}
	case what == "rotate" && listed:
		m.rotations[n]++
		return []tenant.Event{m.event(tenant.EventCredentialsRotated, n, forUs, now)}
	case what == "other":
		return []tenant.Event{m.event(tenant.EventServiceDisassociated, n, forOther, now)}
	case what == "update":
		return []tenant.Event{m.event(tenant.EventUpdated, n, nil, now)}
	case what == "archive" && t.exists: // which says it by an event that the reader does not know
		*t = simTable{}[0]
		return []tenant.Event{m.event(eventArchived, n, nil, now)}
	}
	return nil
}

// event commits what the tenants are now as the next revision.
func (m *simManager) event(kind tenant.EventType, n int, payload []byte, now time.Time) tenant.Event {
	m.made++
	m.truth.commit(m.active())
	m.before = append(m.before, m.tenants)
	evt := tenant.Event{
		EventID: "e" + strconv.Itoa(m.made), EventType: kind, TenantID: m.id(n, m.made), Payload: payload,
	}
	if m.anonymous {
		evt.EventID = ""
	}
	if m.configured {
		evt.Environment = []string{"", simEnvironment, " TEST"}[m.made%3]
	}
	switch kind {
	case tenant.EventUpdated:
		m.named[n]++
		fallthrough
	case tenant.EventServiceAssociated, tenant.EventServiceReactivated:
		evt.TenantName = m.name(n)
	default:
	}
	if m.dated {
		evt.Timestamp = now.Add(m.offset + time.Duration(m.made)*time.Microsecond) // no two have the same
	}
	if m.versions {
		v := m.version()
		evt.Epoch, evt.Revision = v.Epoch, v.Revision
	}
	m.log = append(m.log, evt)
	return evt
}

// name is that of the nth tenant now.
func (m *simManager) name(n int) string { return fmt.Sprint("name ", m.named[n], " of ", n) }

func (m *simManager) active() (s tenantSet) {
	for n, t := range m.tenants {
		if t.exists && !t.suspended && t.associated && !t.paused {
			s |= 1 << n
		}
	}
	return s
}

func (m *simManager) version() tenant.Version {
	if !m.versions {
		return tenant.Version{}
	}
	return tenant.Version{Epoch: epochName(m.epoch), Revision: uint64(len(m.truth.sets) - 1 - m.start)} //nolint:gosec // never negative
}

func epochName(n int) string { return "epoch" + strconv.Itoa(n) }

// restore goes back by some revisions, under a new epoch.
func (m *simManager) restore(back int) {
	m.tenants = m.before[max(len(m.before)-1-back, 0)]
	m.epoch++
	m.truth.commit(m.active())
	m.before, m.log = append(m.before, m.tenants), append(m.log, tenant.Event{})
	m.earlier, m.start = m.start, len(m.truth.sets)-1
	m.starts[epochName(m.epoch)] = m.start
}

// read lists what is active now.
func (m *simManager) read() simList { return m.readBack(0) }

// readBack lists what was active some revisions ago, in this epoch.
func (m *simManager) readBack(back int) simList {
	v := m.version()
	at := len(m.truth.sets) - 1
	back = min(back, at-m.start)
	set := m.truth.sets[at-back]
	list := simList{version: v}
	if m.plain {
		list.version = tenant.Version{}
	} else if m.versions {
		list.version.Revision -= uint64(back) //nolint:gosec // at most the revision
		list.etag = fmt.Sprintf("%s-%x", v.Epoch, uint64(set))
	}
	if m.configured && back%2 == 0 {
		list.environment = simEnvironment
	}
	list.rows = m.rowsOf(set)
	return list
}

// readLeft lists what was active at the end of the epoch before.
func (m *simManager) readLeft() simList {
	at := m.start - 1
	v := tenant.Version{Epoch: epochName(m.epoch - 1), Revision: uint64(at - m.earlier)} //nolint:gosec // never negative
	return simList{rows: m.rowsOf(m.truth.sets[at]), version: v, etag: fmt.Sprintf("%s-%x", v.Epoch, uint64(m.truth.sets[at]))}
}

func (m *simManager) rowsOf(set tenantSet) (rows []tenant.Summary) {
	for n := range simTenants {
		if set&(1<<n) != 0 {
			rows = append(rows, tenant.Summary{ID: m.id(n, m.made/2+n), Name: m.name(n)})
		}
	}
	return rows
}

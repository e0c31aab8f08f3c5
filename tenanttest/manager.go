package tenanttest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// DefaultLogLimit is how many events a [Manager] remembers unless [WithLogLimit] says otherwise.
const DefaultLogLimit = 10_000

// Manager is a tenant manager in memory. It is an [http.Handler] for the REST API, and has methods for the same
// changes. It may be used from any goroutine, starts no goroutine, and need not be closed.
//
// Each change is made at once, and each of its events takes the next revision. Then the events go to the publisher, if
// there is one: one at a time, in the order of their revisions. After that the call that made the change returns.
//
// The methods that change or read the data return the errors of the REST API: a *[managerapi.Error] that matches
// managerapi.ErrNotFound, ErrConflict or ErrAccessDenied with errors.Is. When some events of a change could not be
// published, the change is made and the method returns a *[PublishError].
type Manager struct {
	mux         *http.ServeMux
	token       string
	environment string
	versions    bool
	changes     bool // those of a list can be asked for
	newID       func() string
	eventID     func(tenantID string) string
	publisher   func(context.Context, tenant.Event) error
	logLimit    int

	mu           sync.Mutex // guards what is below
	apiKey       string
	world        *world
	epoch        string
	revision     uint64
	log          []logEntry
	lastTurn     <-chan struct{}
	failures     int
	lastFailure  error
	faults       faults
	listRequests int
	lastRequest  http.Header
}

// logEntry is an event, the services that it is for when it names none, and what it did to lists.
type logEntry struct {
	event    tenant.Event
	revision uint64 // also without versions
	services []string
	rows     []rowChange
}

// Option is an option of [NewManager].
type Option func(*Manager)

// WithAPIKey sets the key that every request must carry. The default is a random one.
func WithAPIKey(key string) Option { return func(m *Manager) { m.apiKey = key } }

// WithToken sets the bearer token that writes must carry. The default is a random one.
func WithToken(token string) Option { return func(m *Manager) { m.token = token } }

// WithEnvironment sets the environment of all tenants, events and lists. A request to create a tenant in another
// environment is refused with 400. By default lists name no environment, the events of a tenant name the environment
// that it was created with, and all environments share one sequence of revisions.
//
// WithEnvironment panics when name is not valid, see [tenant.ParseEnvironment].
func WithEnvironment(name string) Option {
	parsed, err := tenant.ParseEnvironment(name)
	if err != nil {
		panic("tenanttest: " + err.Error())
	}
	return func(m *Manager) { m.environment = parsed }
}

// WithoutVersions makes a manager that has only the base of the protocol: it sends no epoch, revision or ETag, never
// answers 304, does not compress, and does not have the call for the changes of a list.
func WithoutVersions() Option { return func(m *Manager) { m.versions = false } }

// WithoutChanges makes a manager that does not have the call for the changes of a list, as if it were an older one. Over
// HTTP the answer is 404, and [Fetcher.FetchChanges] returns [tenant.ErrNoChanges].
func WithoutChanges() Option { return func(m *Manager) { m.changes = false } }

// WithPublisher calls publish for every event, one at a time, in the order of their revisions. No lock is held during
// the call. ctx is that of the call that made the change; for a change over HTTP it does not end when the client
// disconnects. An error of publish does not undo the change, see [PublishError]. publish may read from the manager, but
// may not change it.
func WithPublisher(publish func(ctx context.Context, evt tenant.Event) error) Option {
	return func(m *Manager) { m.publisher = publish }
}

// WithIDs sets the function that makes the ids of new tenants. Each id has to be valid and new. By default ids are
// UUIDs without dashes.
func WithIDs(newID func() string) Option { return func(m *Manager) { m.newID = newID } }

// WithEventIDs sets the spelling of tenant ids in events, for instance without the dashes that they have in the list.
// By default they are spelled as in the list.
func WithEventIDs(spell func(tenantID string) string) Option {
	return func(m *Manager) { m.eventID = spell }
}

// WithLogLimit sets how many events the manager remembers for [Manager.Events], for [Manager.StaleList] and for the
// changes of a list; at least 1.
func WithLogLimit(n int) Option { return func(m *Manager) { m.logLimit = max(n, 1) } }

// NewManager returns a manager without tenants.
func NewManager(opts ...Option) *Manager {
	m := &Manager{
		token:    randomHex(),
		apiKey:   randomHex(),
		versions: true,
		changes:  true,
		newID:    newTenantID,
		eventID:  func(tenantID string) string { return tenantID },
		logLimit: DefaultLogLimit,
		world:    newWorld(),
		epoch:    newTenantID(),
	}
	for _, opt := range opts {
		opt(m)
	}
	m.mux = m.routes()
	return m
}

// APIKey returns the key that requests must carry.
func (m *Manager) APIKey() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.apiKey
}

// SetAPIKey replaces the key; the old one is refused from now on.
func (m *Manager) SetAPIKey(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apiKey = key
}

// Token returns the bearer token that writes must carry.
func (m *Manager) Token() string { return m.token }

// Active returns the truth: the rows of service's list now, oldest tenant first, whatever faults are set.
func (m *Manager) Active(service string) []tenant.Summary {
	rows, _ := m.rowsAt(service, nil)
	return rows
}

// Version returns the epoch and the newest revision. It does so even with [WithoutVersions].
func (m *Manager) Version() tenant.Version {
	m.mu.Lock()
	defer m.mu.Unlock()
	return tenant.Version{Epoch: m.epoch, Revision: m.revision}
}

// Events returns a copy of the newest events, oldest first, at most as many as [WithLogLimit] allows.
func (m *Manager) Events() []tenant.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := m.kept()
	events := make([]tenant.Event, 0, len(kept))
	for _, entry := range kept {
		evt := entry.event
		evt.Payload = bytes.Clone(evt.Payload)
		events = append(events, evt)
	}
	return events
}

// kept is the part of the log that is promised. The lock is held.
func (m *Manager) kept() []logEntry { return m.log[max(0, len(m.log)-m.logLimit):] }

// PublishFailures returns how many events the publisher refused, and the last of its errors.
func (m *Manager) PublishFailures() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failures, m.lastFailure
}

// Requests returns the number of requests for a list or for its changes, over HTTP or through a [Fetcher], including those
// that failed. Without the call for changes, requests for them do not count.
func (m *Manager) Requests() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.listRequests
}

// LastRequest returns the header of the last request for a list or for its changes over HTTP. It is nil if there was
// none.
func (m *Manager) LastRequest() http.Header {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lastRequest.Clone()
}

// NewEpoch begins a new epoch with revisions from zero on, as after a restore from a backup. The tenants stay as they
// are; the log of events is emptied.
func (m *Manager) NewEpoch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch, m.revision, m.log = laterEpoch(), 0, nil
}

// PublishError tells that a change was made and that some of its events were not published.
type PublishError struct {
	// Events are the ones that were not published.
	Events []tenant.Event
	// Err joins what the publisher returned for them.
	Err error
}

// Error says how many events are missing, and why.
func (e *PublishError) Error() string {
	return fmt.Sprintf("publish: %d events of a change that was made: %v", len(e.Events), e.Err)
}

// Unwrap returns Err.
func (e *PublishError) Unwrap() error { return e.Err }

// rowsAt returns the rows of service's list at a revision, and that revision. A nil one is the newest. One that the log
// does not reach back to becomes the oldest that it does.
func (m *Manager) rowsAt(service string, at *uint64) ([]tenant.Summary, tenant.Version) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rowsBack(service, at)
}

// rowsBack is rowsAt with the lock held.
func (m *Manager) rowsBack(service string, at *uint64) ([]tenant.Summary, tenant.Version) {
	rows, revision := m.world.active(service), m.revision
	for i := len(m.log) - 1; at != nil && i >= 0 && m.log[i].revision > *at; i-- {
		undo(rows, service, m.log[i].rows)
		revision = m.log[i].revision - 1
	}
	list := make([]tenant.Summary, 0, len(rows))
	for _, seq := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, rows[seq])
	}
	return list, tenant.Version{Epoch: m.epoch, Revision: revision}
}

// commit is called with the lock held. It turns what happened into events and remembers them.
func (m *Manager) commit(happened []happening) []tenant.Event {
	now := time.Now().UTC()
	events := make([]tenant.Event, 0, len(happened))
	for _, h := range happened {
		m.revision++
		evt, err := h.Event(newEventID(), now, tenant.Version{Epoch: m.epoch, Revision: m.revision})
		if err != nil {
			panic("tenanttest: " + err.Error()) // each payload has a JSON form
		}
		evt.TenantID = m.eventID(evt.TenantID)
		if !m.versions {
			evt.Epoch, evt.Revision = "", 0
		}
		m.log = append(m.log, logEntry{event: evt, revision: m.revision, services: h.Services, rows: h.rows})
		evt.Payload = bytes.Clone(evt.Payload) // the publisher's own
		events = append(events, evt)
	}
	if len(m.log) > 2*m.logLimit {
		m.log = slices.Clone(m.log[len(m.log)-m.logLimit:])
	}
	return events
}

// undo takes back what one event did to service's list.
func undo(rows map[uint64]tenant.Summary, service string, changes []rowChange) {
	for _, change := range changes {
		switch {
		case change.service != service:
		case change.before == nil:
			delete(rows, change.seq)
		default:
			rows[change.seq] = *change.before
		}
	}
}

func randomHex() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	return hex.EncodeToString(secret[:])
}

// newTenantID returns 32 hex digits, as the protocol wants it of new tenants. The first epoch is one, too.
func newTenantID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// laterEpoch has the time in it, so that no path of a secret comes again when the revisions begin again.
func laterEpoch() string { return strings.ReplaceAll(newEventID(), "-", "") }

// newEventID returns a UUID of version 7.
func newEventID() string { return uuid.Must(uuid.NewV7()).String() }

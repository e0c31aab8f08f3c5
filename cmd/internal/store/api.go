package store

import (
	"errors"
	"log/slog"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// Options are what a store is opened with.
type Options struct {
	// Environment is the one whose tenants this manager keeps. Required. Two managers of different environments may
	// share a PostgreSQL database. Its case does not matter.
	Environment string
	// Formerly is the name, to the letter, under which an older program has begun the environment and which is refused as one
	// by now, such as "default" or one with quotes: its data is taken over under the name of Environment, once. An environment
	// of that name which never had a tenant gives way, and its keys and tokens go along. Empty is none; another spelling of
	// Environment needs not to be said; any other name that is allowed is an *Invalid INVALID_FORMERLY.
	Formerly string
	// Key encrypts the connection data at rest, with AES-256-GCM. Required, 32 bytes. Data that was written with another
	// key cannot be read.
	Key []byte
	// TenantID makes the id of the nth tenant that the environment has ever had. It has to return another valid id for
	// each n, and runs inside the transaction. Nil: random UUIDs without dashes, as readers that compare the spelling want it.
	TenantID func(n int64) string
	// Logger is for what happens beside the calls. Nil is silent.
	Logger *slog.Logger
	// Migrating is called by Open, on its goroutine, before the schema or the environment's name is changed, which may take
	// hours, and when another process is about that. It may be called more than once. Nil is nobody.
	Migrating func()

	restored string // what has to have the environment already, as Restore calls it; empty is nobody
}

// The errors that a caller acts on.
var (
	// ErrNotFound means that something is not there. A *[NotFound], which it finds, says what.
	ErrNotFound = lifecycle.ErrNotFound
	// ErrUnavailable means that the database is locked, full, read-only or gone. The change was not made, or, where the
	// connection broke during the commit, it is not known whether it was.
	ErrUnavailable = sqldb.ErrUnavailable
	// ErrSchemaTooNew means that a newer version has migrated the database.
	ErrSchemaTooNew = sqldb.ErrSchemaTooNew
	// ErrInUse means that another manager has the SQLite file open, or that one runs where none may.
	ErrInUse = sqldb.ErrInUse
	// ErrWrongKey means that the data was encrypted with another key.
	ErrWrongKey = errors.New("the encryption key is not the one that the data was written with")
	// ErrWeakKey means that the key is 32 zeros. Data that was begun with it is opened all the same.
	ErrWeakKey = errors.New("the encryption key is 32 zeros, which anybody can guess")
	// ErrNoSessions means that a pooler in the way gives each transaction another session: the lock of the relay, and what is set
	// for a session, would be another's.
	ErrNoSessions = sqldb.ErrNoSessions
	// ErrTwoSpellings means that the database has two environments whose names differ in case alone, or that both the former and
	// the current one have had tenants.
	ErrTwoSpellings = errors.New("two environments of the database would become one, and both may have data")
	// ErrGone means that events which were asked for are pruned, or of another epoch.
	ErrGone = errors.New("the events are gone")
)

type (
	// Room is how many calls of each kind the store works on at the same time; further ones wait. Lists are calls of Active, lookups
	// those of keys and tokens.
	Room = sqldb.Room
	// Tenant is that of the lifecycle.
	Tenant = lifecycle.Tenant
	// Owner is encrypted at rest.
	Owner = lifecycle.Owner
	// NewTenant is a tenant to create.
	NewTenant = lifecycle.NewTenant
	// TenantPatch changes what is not nil.
	TenantPatch = lifecycle.TenantPatch
	// Association is that of the lifecycle. All of its Connections are encrypted at rest.
	Association = lifecycle.Association
	// NewAssociation makes a tenant active for a service.
	NewAssociation = lifecycle.NewAssociation
	// NotFound says what is not there: a tenant, an association, a key, a token or an event.
	NotFound = lifecycle.NotFound //nolint:errname // read with its package: store.NotFound
	// Conflict is a change that the state of things does not allow.
	Conflict = lifecycle.Conflict //nolint:errname // the same
	// Invalid is a request that can never succeed.
	Invalid = lifecycle.Invalid //nolint:errname // the same
	// Inactive is a refusal of what only an active tenant, or an active association, allows.
	Inactive = lifecycle.Inactive //nolint:errname // the same
)

// What may not be there, for a [NotFound].
const (
	OfTenant      = lifecycle.OfTenant
	OfAssociation = lifecycle.OfAssociation
)

// TenantFilter selects tenants. Search is part of a name, a slug or an id; Status, Service may be empty.
type TenantFilter struct {
	Search, Status, Service string
	After                   string // the Next of the page before
	Limit                   int    // 0: 100, at most 1000
}

// TenantPage is part of a list. Next is empty on the last one.
type TenantPage struct {
	Tenants []Tenant
	Next    string
}

// ActiveVersion is the version of the list of one service, and its entity tag, which changes only when that list does. Set is the
// revision at which it changed last.
type ActiveVersion struct {
	tenant.Version

	ETag string
	Set  uint64
}

// Event is a row of the outbox: one lifecycle event, and the bytes that are published each time.
type Event struct {
	tenant.Event

	Data     []byte
	Attempts int
	At       time.Time // of the commit
	// Services are those whose tenant it was at that time, suspended and purged ones too. Nil is not known.
	Services []string
}

// Ref is what the event is marked by.
func (e Event) Ref() EventRef { return EventRef{Revision: e.Revision, At: e.At} }

// EventRef is one event and no other. After a failover to a standby that lacked the last changes, and in a new epoch, another event
// gets the revision; the time of its commit is another.
type EventRef struct {
	Revision uint64
	At       time.Time // of the commit, as Event has it
}

// OutboxStatus is how far the relay is.
type OutboxStatus struct {
	Pending     int
	Oldest      time.Time // of the pending ones; zero if there is none
	Quarantined int
	Epoch       string // of both revisions
	Sent        uint64 // the newest revision that was sent
	Newest      uint64 // the newest revision that there is
}

// Key is a service's API key, or, with an empty Service, a token. The secret itself is not kept.
type Key struct {
	ID        string
	Name      string
	Service   string
	CreatedAt time.Time
	RevokedAt time.Time // zero while it holds
	LastUsed  time.Time // to the minute; zero if never
}

package discovery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/internal/usererror"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// closeGrace is how long Close waits for a callback that is running.
const closeGrace = time.Second

const (
	manyChanges = 1024
	setSlack    = 4096
)

// endGrace is how long it waits for the rest to end once no callback is running.
const endGrace = 50 * time.Millisecond

var (
	// ErrStarted is returned by a second Start.
	ErrStarted = errors.New("discovery: already started")
	// ErrNotStarted is returned by a method that may be called only after Start has succeeded.
	ErrNotStarted = errors.New("discovery: not started")
	// ErrClosed is returned by a method that cannot be called after Close.
	ErrClosed = errors.New("discovery: closed")
	// ErrCallbackRunning is returned by Close when a callback has not ended within a second. The discovery is closed
	// all the same. After the callback has ended, another call of Close returns nil.
	ErrCallbackRunning = errors.New("discovery: closed, but a callback is still running")
	// errFeedRunning is the same for a Feed that does not heed its ctx.
	errFeedRunning = errors.New("discovery: closed, but the Feed, the Logger, the TMClient or the writing of the SnapshotFile has not returned")
)

// TenantDiscovery knows the tenants that are active for one service, from Start until Close. All methods may be called
// from any goroutine. A nil *TenantDiscovery has an empty set.
type TenantDiscovery struct {
	cfg       Config
	feed      tenant.Feed
	place     string          // where it is, for people
	snapshots SnapshotFetcher // nil unless the TMClient is one
	changes   ChangesFetcher  // nil unless the TMClient is one, and the other

	view   atomic.Pointer[activeset.Set] // the set that readers see
	status atomic.Pointer[Status]        // what Status returns, but for the time that passes

	telemetry *telemetry
	callbacks callbacks
	box       *mailbox // of all callbacks
	leftover  atomic.Int32
	dice      activeset.Dice // of all jitter; nil but in tests
	silent    bool           // there is no Logger
	many      int            // changes of one list that are told together
	slack     int            // tenants that may have changed before the set is rebuilt
	closed    chan struct{}

	// mu guards what follows. It is held for the time of a few copies, however long the list is; whoever changes something does so
	// through update, which publishes, tells and logs what came of it.
	mu       sync.Mutex
	core     *activeset.Core       // all that changes, and what decides of it
	run      *run                  // what Start has begun; nil before
	watchers map[*mailbox]struct{} // of Changes; the one of the callbacks is always told
	waiting  []chan error          // those who wait for a Refresh that has not begun
	due      time.Time             // when the next request begins; zero when at once
	turn     time.Time             // when the core changes because time passes; zero when it does not
}

// NewTenantDiscovery checks the configuration and fills in its defaults. It sends nothing. The error names every field
// that is missing or invalid.
func NewTenantDiscovery(cfg Config) (*TenantDiscovery, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("discovery: config: %w", err)
	}
	cfg.setDefaults()
	d := &TenantDiscovery{
		cfg:    cfg,
		feed:   cfg.Feed,
		place:  placeOf(&cfg),
		box:    newMailbox(),
		closed: make(chan struct{}),
		many:   manyChanges,
		slack:  setSlack,
	}
	if d.feed == nil {
		feed, err := redisevents.NewPubSub(cfg.RedisConfig, cfg.Environment)
		if err != nil {
			return nil, fmt.Errorf("discovery: config: RedisConfig: %w", err)
		}
		d.feed = feed
	}
	d.silent = cfg.Logger == nil
	d.cfg.Logger = usererror.Logger(cfg.Logger, d.logFailed)
	var err error
	if d.telemetry, err = newTelemetry(d.cfg); err != nil {
		return nil, fmt.Errorf("discovery: config: %w", err)
	}
	d.cfg.RedisConfig = redisevents.Config{} // so that printing a discovery prints no password
	if d.snapshots, _ = cfg.TMClient.(SnapshotFetcher); d.snapshots != nil {
		d.changes, _ = cfg.TMClient.(ChangesFetcher)
	}
	d.watchers = make(map[*mailbox]struct{})
	d.core = activeset.New(d.deciding())
	d.view.Store(&activeset.Set{})
	d.status.Store(&Status{Since: time.Now()})
	return d, nil
}

// logFailed counts a line that the Logger did not take, as a callback that panics is counted. It logs nothing itself.
func (d *TenantDiscovery) logFailed() {
	d.update(func(time.Time) { d.core.Panicked() })
}

// Start subscribes to the events, fills the set and returns. ctx bounds only Start itself: the discovery goes on until
// Close.
//
// Start waits until the subscription is confirmed, is refused or has failed once, but at most for FeedTimeout and for half
// of the time until the deadline of ctx. Without a subscription Start goes on in [Polling], and the discovery keeps trying
// to subscribe. Then Start asks the TMClient once. When that fails and the SnapshotFile has a usable set, the discovery
// starts with that set, in [Stale]. Otherwise Start returns the error, nothing is left running, and Start may be called
// again.
//
// Start returns [ErrStarted] while the discovery is starting or started, and [ErrClosed] after Close or when Close ends
// it.
func (d *TenantDiscovery) Start(ctx context.Context) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unobserve, err := d.telemetry.observe(d.Status)
	if err != nil {
		cancel()
		return fmt.Errorf("discovery: start: %w", err)
	}
	r := newRun(cancel, unobserve)
	if err := d.begin(r); err != nil {
		cancel()
		return errors.Join(err, unobserve())
	}
	r.wg.Add(1) // for this call, so that Close waits for it too
	r.wg.Go(func() { d.follow(life, r) })
	r.wg.Go(func() { d.applySignals(life, r) })
	r.wg.Go(func() { d.keepTime(life, r) })
	r.wg.Go(func() { d.keepReconciled(life, r) })
	r.wg.Go(func() { d.tellCallbacks(life, r) })
	if d.cfg.SnapshotFile != "" {
		r.wg.Go(func() { d.keepSaved(life, r) })
	}
	go func() {
		r.wg.Wait()
		r.unwatched = r.unwatch()
		close(r.ended)
	}()
	err = d.bootstrap(ctx, life, r)
	r.wg.Done()
	if err == nil {
		return nil
	}
	return errors.Join(err, d.abandon(r, err))
}

// Run calls Start, waits until ctx ends or the discovery is closed, and calls Close.
func (d *TenantDiscovery) Run(ctx context.Context) error {
	if err := d.Start(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-d.closed:
	}
	return d.Close()
}

// Close ends everything that the discovery started. The set can still be read: it is the last known one. Close cancels
// the ctx of a callback that is running, and waits a second for it. If the callback has not returned by then, or if
// Close is called from inside a callback, Close returns [ErrCallbackRunning]. No callback starts after Close has
// returned. Close may be called several times, and by several goroutines at once.
func (d *TenantDiscovery) Close() error {
	if d == nil {
		return nil
	}
	var r *run
	d.update(func(time.Time) {
		r = d.run
		if !d.core.Closed() {
			d.core.Close()
			close(d.closed)
		}
	})
	if r == nil {
		return nil
	}
	return r.stop()
}

// ActiveTenantIDs returns the ids of all active tenants, in no particular order. The slice belongs to the caller and is
// never nil.
func (d *TenantDiscovery) ActiveTenantIDs() []string {
	return d.set().IDs()
}

// All yields the ids of all active tenants, in no particular order. The loop sees the set as it was when the loop
// began, even when the set changes meanwhile. Nothing is copied.
func (d *TenantDiscovery) All() iter.Seq[string] {
	return func(yield func(string) bool) { d.set().All()(yield) }
}

// IsActive reports whether the tenant is active. Any spelling of its id will do, see [tenant.CanonicalID].
func (d *TenantDiscovery) IsActive(tenantID string) bool {
	return d.set().Has(tenantID)
}

// Name returns the name of an active tenant, for people, as the manager's list or the newest event with a tenant_name spelled it. It
// returns false when the tenant is not active, when its name has not come yet (events of other managers than tenantwatch's
// have none, and a SnapshotFile neither), and without Config.Names. Any spelling of the id will do. A new name whose event was missed
// shows with the next list. Unlike IsActive, Name may wait for a moment while an event is applied.
func (d *TenantDiscovery) Name(tenantID string) (name string, known bool) {
	if d == nil {
		return "", false
	}
	key := tenant.CanonicalID(tenantID)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.core.Name(key)
}

// Len returns the number of active tenants.
func (d *TenantDiscovery) Len() int { return d.set().Len() }

// Status returns the state of the discovery at this moment. It never waits.
func (d *TenantDiscovery) Status() Status {
	if d == nil {
		return Status{}
	}
	return *d.status.Load()
}

// Explain returns the last changes of the tenant, at most eight of them, oldest first. They say why the tenant is in
// the set, or why it is not. There are none for a tenant that was never in the set. Of the tenants that have left the
// set, about the last thousand are remembered.
func (d *TenantDiscovery) Explain(tenantID string) []tenant.Change {
	if d == nil {
		return nil
	}
	key := tenant.CanonicalID(tenantID)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.core.Explain(key)
}

// recentChanges returns the last changes of all tenants, newest first.
func (d *TenantDiscovery) recentChanges() []tenant.Change {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.core.Recent()
}

func (d *TenantDiscovery) set() activeset.Set {
	if d == nil {
		return activeset.Set{}
	}
	return *d.view.Load()
}

// begin claims the discovery for one Start.
func (d *TenantDiscovery) begin(r *run) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.core.Closed():
		return ErrClosed
	case !d.core.Idle():
		return ErrStarted
	}
	d.run = r
	d.core.Begin()
	return nil
}

// abandon ends what a failed Start has begun and makes a new one possible, unless Close came first.
func (d *TenantDiscovery) abandon(r *run, failure error) error {
	err := r.stop()
	d.update(func(time.Time) {
		if !d.core.Closed() {
			d.core.Abandon(failure)
			d.run = nil
		}
	})
	return err
}

// run is what one Start has begun.
type run struct {
	cancel    context.CancelFunc
	unwatch   func() error // ends the reading of metrics
	unwatched error        // what came of it, once ended is closed
	wg        sync.WaitGroup
	inbox     *inbox
	kick      chan struct{} // of size one: what is due may have changed
	turned    chan struct{} // of size one: when the core changes by itself may have
	worn      chan struct{} // of size one: the set may be worth rebuilding
	save      chan struct{} // of size one: there may be something to save
	linked    chan struct{} // closed when the feed was first confirmed or first failed
	ready     chan struct{} // closed when the bootstrap has succeeded
	ended     chan struct{} // closed when every goroutine has returned
	calling   atomic.Bool   // a callback is running

	digests     activeset.Digests // for whoever asks for lists, as what follows
	rested      time.Time         // when the set may be rebuilt again
	environment string            // that the feed has been told
	told        chan struct{}     // closed when the feed has returned from that
}

func newRun(cancel context.CancelFunc, unwatch func() error) *run {
	told := make(chan struct{})
	close(told)
	return &run{
		told:   told,
		cancel: cancel, unwatch: unwatch,
		inbox:  newInbox(),
		kick:   make(chan struct{}, 1),
		turned: make(chan struct{}, 1),
		worn:   make(chan struct{}, 1),
		save:   make(chan struct{}, 1),
		linked: make(chan struct{}),
		ready:  make(chan struct{}),
		ended:  make(chan struct{}),
	}
}

func (r *run) stop() error {
	r.cancel()
	grace := time.NewTimer(closeGrace)
	defer grace.Stop()
	select {
	case <-r.ended:
		return r.unwatched
	case <-grace.C:
	}
	if r.calling.Load() {
		return ErrCallbackRunning
	}
	grace.Reset(endGrace) // a callback may have ended at this moment
	select {
	case <-r.ended:
		return r.unwatched
	case <-grace.C:
		return errFeedRunning
	}
}

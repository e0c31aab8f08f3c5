package worker

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// rota is an Every that runs in a bubble, what it is told, and what it did.
type rota struct {
	t       *testing.T
	began   time.Time
	table   timetable
	changes chan tenant.Change
	cancel  context.CancelFunc
	ended   chan error

	mu       sync.Mutex
	grace    time.Duration
	live     map[string]*call // by canonical id
	atOnce   int              // how many those were that did not overstay, at most
	starts   map[string][]time.Duration
	told     []Tick
	returned bool     // Every has; nothing may run any more
	left     []string // but for these
}

// call is one of the work that has not returned yet.
type call struct {
	cancelled bool
	since     time.Time // when it was
}

// startRota runs an Every. work may be nil: it returns at once.
func startRota(t *testing.T, interval time.Duration, cfg EveryConfig, work func(ctx context.Context, id string) error) *rota {
	t.Helper()
	r := &rota{
		t: t, began: time.Now(), table: newTimetable(interval, time.Now()), changes: make(chan tenant.Change),
		ended: make(chan error, 1), live: map[string]*call{}, starts: map[string][]time.Duration{},
		grace: cmp.Or(cfg.StopGrace, 10*time.Second),
	}
	ended := cfg.Ended
	cfg.Ended = func(tick Tick) {
		r.mu.Lock()
		r.told = append(r.told, tick)
		r.mu.Unlock()
		if ended != nil {
			ended(tick)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel = cancel
	go func() {
		err := Every(ctx, interval, r.sequence(ctx), func(ctx context.Context, id string) error {
			defer r.enter(ctx, id)()
			if work == nil {
				return nil
			}
			return work(ctx, id)
		}, cfg)
		r.mu.Lock()
		r.returned = true
		if still, ok := errors.AsType[*StillRunningError](err); ok {
			r.left = still.TenantIDs
		}
		r.mu.Unlock()
		r.ended <- err
	}()
	return r
}

func (r *rota) sequence(ctx context.Context) iter.Seq[tenant.Change] {
	return func(yield func(tenant.Change) bool) {
		for {
			select {
			case c, ok := <-r.changes:
				if !ok || !yield(c) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// enter notes that a run begins, and returns what notes its end.
func (r *rota) enter(ctx context.Context, id string) (leave func()) {
	key := tenant.CanonicalID(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.returned {
		r.t.Errorf("%s runs although Every has returned", id)
	}
	if r.live[key] != nil {
		r.t.Errorf("%s runs twice", id)
	}
	it := &call{}
	r.live[key] = it
	r.atOnce = max(r.atOnce, r.countedNow())
	r.starts[key] = append(r.starts[key], time.Since(r.began))
	unwatch := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		it.cancelled, it.since = true, time.Now()
	})
	return func() {
		unwatch()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.live, key)
		if r.returned && !slices.Contains(r.left, id) {
			r.t.Errorf("%s ran although Every had returned, and did not name it", id)
		}
	}
}

// countedNow is how many run that do not overstay. It is called with the lock.
func (r *rota) countedNow() (n int) {
	for _, it := range r.live {
		if !it.cancelled || time.Since(it.since) < r.grace {
			n++
		}
	}
	return n
}

func (r *rota) send(kind tenant.Kind, ids ...string) {
	for _, id := range ids {
		r.changes <- tenant.Change{Kind: kind, TenantID: id}
	}
	synctest.Wait()
}

func (r *rota) add(ids ...string)    { r.send(tenant.Added, ids...) }
func (r *rota) remove(ids ...string) { r.send(tenant.Removed, ids...) }

// startsOf returns when the runs of a tenant began, after the beginning of Every.
func (r *rota) startsOf(id string) []time.Duration {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Duration(nil), r.starts[tenant.CanonicalID(id)]...)
}

// ticks returns what Ended was told since the last time.
func (r *rota) ticks() []Tick {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

// stop ends Every, and returns its error.
func (r *rota) stop() error {
	r.cancel()
	return <-r.ended
}

// until waits until the n-th tick of a tenant (the first is 0), and whatever happens with it.
func (r *rota) until(id string, n int) {
	at := r.table.phase(tenant.CanonicalID(id)) + time.Duration(n)*r.table.interval
	time.Sleep(at - time.Since(r.began))
	synctest.Wait()
}

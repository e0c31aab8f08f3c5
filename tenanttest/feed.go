package tenanttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/backoff"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// The back-off of a [Feed] unless [WithBackoff] says otherwise.
const (
	DefaultFirstBackoff = 50 * time.Millisecond
	DefaultMostBackoff  = 800 * time.Millisecond
)

// The errors that a [Feed] uses when the test gives none.
var (
	ErrDisconnected = errors.New("feed disconnected")
	ErrRefused      = errors.New("subscription refused")
	ErrGap          = errors.New("events missed")
	ErrRunEnded     = errors.New("feed ended by itself")
)

// Feed is a [tenant.Feed] in memory. An event reaches every Run that is subscribed when the event is published. If no
// Run is subscribed the event is lost, as with Redis Pub/Sub. All methods may be called from any goroutine, whether Run
// runs or not.
//
// Every Run gets the same events in the same order: a fault applies to an event once, not once for each Run. Two feeds
// with the same seed and the same calls deliver the same events.
type Feed struct {
	backoff    backoff.Range
	heartbeats bool

	mu      sync.Mutex // guards what is below, and what is in each run
	runs    map[*run]struct{}
	downErr error  // why attempts to subscribe fail; nil while they succeed
	used    string // the environment that was named last
	silent  bool
	faults  feedFaults
}

// FeedOption is an option of [NewFeed].
type FeedOption func(*Feed)

// WithSeed sets the seed with which [Feed.Reorder] shuffles. The default is 1.
func WithSeed(seed uint64) FeedOption {
	return func(f *Feed) { f.faults.rand = rand.New(rand.NewPCG(seed, seed)) } //nolint:gosec // has to be repeatable
}

// WithBackoff sets how long a Run waits after a failed attempt to subscribe: first, then twice as long after each
// further failure, up to most. The wait is not random. The defaults are [DefaultFirstBackoff] and [DefaultMostBackoff].
func WithBackoff(first, most time.Duration) FeedOption {
	return func(f *Feed) { f.backoff = backoff.Range{First: first, Most: max(first, most)} }
}

// WithHeartbeats makes every subscription confirm that it receives heartbeats, as Redis Pub/Sub does. A discovery then
// expects heartbeats. Without this option a [Feed.Heartbeat] is delivered all the same.
func WithHeartbeats() FeedOption { return func(f *Feed) { f.heartbeats = true } }

// NewFeed returns a feed whose link is up.
func NewFeed(opts ...FeedOption) *Feed {
	f := &Feed{
		backoff: backoff.Range{First: DefaultFirstBackoff, Most: DefaultMostBackoff},
		runs:    map[*run]struct{}{},
	}
	WithSeed(1)(f)
	for _, opt := range opts {
		opt(f)
	}
	return f
}

// Run implements [tenant.Feed]. It returns the error of ctx, or the error that was given to [Feed.EndRuns].
func (f *Feed) Run(ctx context.Context, sink func(tenant.Signal)) error {
	r := f.enter()
	defer f.leave(r)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := f.next(r)
		switch {
		case s.ended != nil:
			return s.ended
		case s.flushed != nil:
			close(s.flushed)
		case s.signal.Kind != 0:
			sink(s.signal)
		default:
			r.sleep(ctx, s.wait)
		}
	}
}

// Publish hands evt to every Run that is subscribed, through the faults that are set. It does not wait for them; see
// [Feed.Flush]. It returns the error of ctx, or the one of [tenant.Event.Validate], and has published nothing then. It
// fits [WithPublisher].
func (f *Feed) Publish(ctx context.Context, evt tenant.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := evt.Validate(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	f.publish(tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
	return nil
}

// PublishRaw publishes bytes as they would come off the wire. What [tenant.ParseEvent] refuses arrives as a
// [tenant.SignalBadEvent]. The faults for events apply to both.
func (f *Feed) PublishRaw(data []byte) {
	evt, err := tenant.ParseEvent(data)
	if err != nil {
		f.publish(tenant.Signal{Kind: tenant.SignalBadEvent, Err: err})
		return
	}
	f.publish(tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
}

// Heartbeat tells every subscribed Run the manager's newest version.
func (f *Feed) Heartbeat(v tenant.Version) {
	f.tell(tenant.Signal{Kind: tenant.SignalHeartbeat, Version: v})
}

// UseEnvironment implements [tenant.EnvironmentFeed]. It only notes the name.
func (f *Feed) UseEnvironment(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used = name
}

// UsedEnvironment returns the name that UseEnvironment was given last. It is empty if there was none.
func (f *Feed) UsedEnvironment() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used
}

// Gap tells every subscribed Run that events were missed although the link is up. A nil err is [ErrGap].
func (f *Feed) Gap(err error) {
	f.tell(tenant.Signal{Kind: tenant.SignalGap, Err: orDefault(err, ErrGap)})
}

// Resubscribe tells every subscribed Run of one more confirmation, as when a driver subscribed again by itself.
func (f *Feed) Resubscribe() {
	f.tell(tenant.Signal{Kind: tenant.SignalSubscribed, Heartbeats: f.heartbeats})
}

// Subscribers returns how many Runs are subscribed.
func (f *Feed) Subscribers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for r := range f.runs {
		if r.subscribed {
			n++
		}
	}
	return n
}

// Flush waits until every Run has given its sink all that was published before the call, or has returned. Events that
// [Feed.Reorder] still gathers are let go first, delayed ones are waited for. Its error is that of ctx.
func (f *Feed) Flush(ctx context.Context) error {
	for _, flushed := range f.mark() {
		select {
		case <-flushed:
		case <-ctx.Done():
			return fmt.Errorf("flush feed: %w", ctx.Err())
		}
	}
	return nil
}

func (f *Feed) publish(sig tenant.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, out := range f.faults.pass(sig) {
		f.enqueue(out)
	}
}

// tell sends what no event fault applies to.
func (f *Feed) tell(sig tenant.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.enqueue(sig)
}

// mark puts a channel behind what each Run has queued. Run closes it when it comes to it.
func (f *Feed) mark() []chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releaseGathered()
	marks := make([]chan struct{}, 0, len(f.runs))
	for r := range f.runs {
		flushed := make(chan struct{})
		r.push(step{flushed: flushed})
		marks = append(marks, flushed)
	}
	return marks
}

func orDefault(err, def error) error {
	if err == nil {
		return def
	}
	return err
}

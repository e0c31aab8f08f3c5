package redisevents

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	soon        = time.Minute // for what has to happen at all, on a machine that is busy with other things
	pollEvery   = time.Millisecond
	shortLimit  = 300 * time.Millisecond
	environment = "staging"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(testserver.DriverDials))
}

// recorder is a sink that remembers.
type recorder struct {
	mu      sync.Mutex
	signals []tenant.Signal
	kinds   map[tenant.SignalKind]int // to wait without copying them each time
}

func (r *recorder) sink(signal tenant.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signals = append(r.signals, signal)
	if r.kinds == nil {
		r.kinds = map[tenant.SignalKind]int{}
	}
	r.kinds[signal.Kind]++
}

func (r *recorder) count(kind tenant.SignalKind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kinds[kind]
}

func (r *recorder) all() []tenant.Signal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]tenant.Signal(nil), r.signals...)
}

func (r *recorder) of(kind tenant.SignalKind) []tenant.Signal {
	var found []tenant.Signal
	for _, signal := range r.all() {
		if signal.Kind == kind {
			found = append(found, signal)
		}
	}
	return found
}

// wait returns the signals of a kind once there are n of them.
func (r *recorder) wait(t testing.TB, kind tenant.SignalKind, n int) []tenant.Signal {
	t.Helper()
	eventually(t, fmt.Sprintf("%d times %s", n, kind), func() bool { return r.count(kind) >= n })
	return r.of(kind)
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !condition(); time.Sleep(pollEvery) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// listen runs the feed until the test ends or stop is called, which waits for Run.
func listen(t testing.TB, feed tenant.Feed, sink func(tenant.Signal)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- feed.Run(ctx, sink) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != context.Canceled { //nolint:errorlint // Run returns ctx's error as it is
			t.Errorf("Run returned %v, want %v", err, context.Canceled)
		}
	})
	t.Cleanup(stop)
	return stop
}

// newFeed makes a feed that hardly waits between two attempts.
func newFeed(t testing.TB, cfg Config, environment string) *PubSub {
	t.Helper()
	feed, err := NewPubSub(cfg, environment)
	if err != nil {
		t.Fatal(err)
	}
	feed.backoff.First, feed.backoff.Most = time.Millisecond, 5*time.Millisecond
	return feed
}

func newPublisher(t testing.TB, cfg Config, channels Channels) *Publisher {
	t.Helper()
	publisher, err := NewPublisher(PublisherConfig{Redis: cfg, Channels: channels})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = publisher.Close() })
	return publisher
}

func configOf(r *testserver.Redis) Config {
	return Config{Host: r.Host(), Port: r.Port(), SilenceLimit: 5 * time.Second}
}

func behind(p *testserver.Proxy, limit time.Duration) Config {
	return Config{Host: p.Host(), Port: p.Port(), SilenceLimit: limit}
}

func numbered(i int) tenant.Event {
	return tenant.Event{
		EventID: fmt.Sprint(i), EventType: tenant.EventUpdated, TenantID: fmt.Sprintf("t%d", i%7),
		Environment: environment,
	}
}

// publish announces the events from..to-1.
func publish(t testing.TB, publisher *Publisher, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := publisher.Publish(t.Context(), numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// expectNumbered checks that the events are from, from+1 and so on, each of them once.
func expectNumbered(t testing.TB, events []tenant.Signal, from int) {
	t.Helper()
	for i, signal := range events {
		if want := fmt.Sprint(from + i); signal.Event.EventID != want {
			t.Fatalf("event %d is %q, want %q", i, signal.Event.EventID, want)
		}
	}
}

// footprint is what a feed must not leave behind.
type footprint struct{ goroutines, descriptors int }

func takeFootprint(t testing.TB) footprint {
	t.Helper()
	f := footprint{goroutines: runtime.NumGoroutine()}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil { // only on Linux
		f.descriptors = len(entries)
	}
	return f
}

// expectFootprint waits until no more is left than there was.
func expectFootprint(t testing.TB, before footprint) {
	t.Helper()
	eventually(t, fmt.Sprintf("a footprint of %+v", before), func() bool {
		now := takeFootprint(t)
		return now.goroutines <= before.goroutines && now.descriptors <= before.descriptors
	})
}

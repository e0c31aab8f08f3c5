package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// bench is a Group that runs in a bubble, and what it is told.
type bench struct {
	t       *testing.T
	group   *Group
	changes chan tenant.Change
	cancel  context.CancelFunc
	ended   chan error

	mu  sync.Mutex
	log []string
}

// start runs a Group whose work says that it begins and why it ends. work may be nil: it waits for its ctx.
func start(t *testing.T, cfg Config, work func(ctx context.Context, id string) error) *bench {
	t.Helper()
	b := &bench{t: t, changes: make(chan tenant.Change), ended: make(chan error, 1)}
	cfg.MeterProvider = noop.NewMeterProvider()
	cfg.Work = func(ctx context.Context, id string) error {
		b.say("+" + id)
		var err error
		if work != nil {
			err = work(ctx, id)
		} else {
			<-ctx.Done()
			err = context.Cause(ctx)
		}
		b.say("-" + id)
		return err
	}
	var err error
	if b.group, err = NewGroup(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.cancel = cancel
	go func() { b.ended <- b.group.Run(ctx, b.sequence(ctx)) }()
	return b
}

func (b *bench) sequence(ctx context.Context) iter.Seq[tenant.Change] {
	return func(yield func(tenant.Change) bool) {
		for {
			select {
			case c, ok := <-b.changes:
				if !ok || !yield(c) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (b *bench) say(word string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, word)
}

// said returns what the work has said since the last time, when everything is at rest.
func (b *bench) said() string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	log := strings.Join(b.log, " ")
	b.log = nil
	return log
}

func (b *bench) wants(log string) {
	b.t.Helper()
	if got := b.said(); got != log {
		b.t.Errorf("the work says %q, want %q", got, log)
	}
}

// send tells of a change and waits until everything is at rest.
func (b *bench) send(c tenant.Change) {
	b.changes <- c
	synctest.Wait()
}

func (b *bench) add(ids ...string) {
	for _, id := range ids {
		b.send(tenant.Change{Kind: tenant.Added, TenantID: id})
	}
}

func (b *bench) remove(id string) { b.send(tenant.Change{Kind: tenant.Removed, TenantID: id}) }

func (b *bench) reconfigure(id string) {
	b.send(tenant.Change{Kind: tenant.Reconfigured, TenantID: id, EventType: tenant.EventCredentialsRotated})
}

// states says in a line how everybody is doing.
func (b *bench) states() string {
	synctest.Wait()
	var parts []string
	for _, one := range b.group.Status().Tenants {
		parts = append(parts, one.TenantID+" "+one.State.String())
	}
	return strings.Join(parts, ", ")
}

func (b *bench) wantStates(want string) {
	b.t.Helper()
	if got := b.states(); got != want {
		b.t.Errorf("the states are %q, want %q", got, want)
	}
}

func (b *bench) stop() {
	b.t.Helper()
	b.cancel()
	if err := <-b.ended; err != nil {
		b.t.Errorf("run: %v", err)
	}
}

func TestOneRunForEachTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{MinBackoff: 1}, nil)
		b.add("a", "b", "a")
		b.wants("+a +b")
		b.remove("a")
		b.wants("-a")
		b.wantStates("b running")
		b.remove("a")
		b.remove("c")
		b.reconfigure("c")
		b.add("a")
		b.wants("+a")
		b.stop()
		b.wantStates("")
		if err := b.group.Run(t.Context(), nil); !errors.Is(err, ErrRan) {
			t.Errorf("run again: %v", err)
		}
	})
}

func TestTheEndOfChangesIsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{}, nil)
		b.add("a")
		close(b.changes)
		if err := <-b.ended; err != nil {
			t.Errorf("run: %v", err)
		}
		b.wants("+a -a")
		b.cancel()
	})
}

func TestATenantThatComesBackWaitsForItsOldRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{StopGrace: time.Minute}, func(ctx context.Context, _ string) error {
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			return nil
		})
		b.add("6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F9012")
		b.wants("+6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F9012")
		b.remove("6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012")
		b.add("6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012")
		b.wants("")
		b.wantStates("6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012 stopping")
		time.Sleep(5 * time.Second)
		b.wants("-6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F9012 +6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012")
		b.stop()
	})
}

func TestFailuresBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failures := map[string]func() error{
			"error": func() error { return errors.New("no") },
			"panic": func() error { panic("no") },
			"exit":  func() error { return nil },
		}
		var mu sync.Mutex
		began := map[string][]time.Time{}
		b := start(t, Config{MinBackoff: time.Second, MaxBackoff: 4 * time.Second}, func(_ context.Context, id string) error {
			mu.Lock()
			began[id] = append(began[id], time.Now())
			mu.Unlock()
			return failures[id]()
		})
		b.add("error", "panic", "exit")
		time.Sleep(time.Minute)
		b.wantStates("error restarting, exit done, panic restarting")
		mu.Lock()
		defer mu.Unlock()
		for _, id := range []string{"error", "panic"} {
			for i, bound := range []float64{1, 2, 4, 4, 4} {
				wait := began[id][i+1].Sub(began[id][i]).Seconds()
				if wait < bound/2 || wait > bound {
					t.Errorf("%s: the %d. wait was %v s, want half of %v s to all of it", id, i+1, wait, bound)
				}
			}
		}
		b.stop()
	})
}

func TestLimitAndLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Limit: 2}, nil)
		b.add("a", "b", "d", "c")
		b.wants("+a +b")
		b.wantStates("a running, b running, c waiting, d waiting")
		b.remove("a")
		b.wants("-a +d")
		var places []int
		for _, one := range b.group.Status().Tenants {
			places = append(places, one.Place)
		}
		if !slices.Equal(places, []int{0, 1, 0}) {
			t.Errorf("places %v", places)
		}
		b.stop()
	})
}

func TestWhoOverstaysHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := start(t, Config{Limit: 1, StopGrace: time.Second}, func(ctx context.Context, id string) error {
			if id == "stuck" {
				<-release
				return nil
			}
			<-ctx.Done()
			return nil
		})
		b.add("stuck")
		b.wants("+stuck")
		b.add("a")
		b.remove("stuck")
		b.add("stuck")
		time.Sleep(999 * time.Millisecond)
		b.wantStates("a waiting, stuck stopping")
		time.Sleep(time.Millisecond)
		b.wantStates("a running, stuck overstaying")
		b.cancel()
		err := <-b.ended
		var still *StillRunningError
		if !errors.As(err, &still) || fmt.Sprint(still.TenantIDs, still.Changes) != "[stuck] false" {
			t.Errorf("run: %v", err)
		}
		close(release)
		b.wantStates("")
	})
}

func TestRamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{RampPerSecond: 2}, nil)
		b.add("a", "b", "c", "d")
		b.wants("+a")
		time.Sleep(500 * time.Millisecond)
		b.wants("+b")
		time.Sleep(time.Second)
		b.wants("+c +d")
		b.stop()
	})
}

// TestStartsOfATenantAreBounded, whatever makes them: it goes and comes, it is reconfigured, or it fails.
func TestStartsOfATenantAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began []time.Time // one at a time
		b := start(t, Config{MinBackoff: time.Second}, func(ctx context.Context, _ string) error {
			began = append(began, time.Now())
			<-ctx.Done()
			return nil
		})
		for i := range 1000 {
			if i%3 == 0 {
				b.add("a")
				b.reconfigure("a")
			} else {
				b.remove("a")
				b.add("a")
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		b.wantStates("a running")
		for i := range began[1:] {
			if apart := began[i+1].Sub(began[i]); apart < 500*time.Millisecond {
				t.Errorf("the starts %d and %d are %s apart", i, i+1, apart)
			}
		}
		if len(began) < 15 {
			t.Errorf("%d starts in 11 s", len(began))
		}
		b.remove("a")
		b.wantStates("")
		b.stop()
	})
}

// TestAPanicIsAFailureWhateverIsInIt: it is not a way to give up, and not the end that a cancelled run is to have.
func TestAPanicIsAFailureWhateverIsInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := start(t, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(ctx context.Context, id string) error {
			switch id {
			case "panics":
				panic(ErrGiveUp)
			case "gives up":
				return errors.Join(ErrGiveUp, &PanicError{Value: "of something that it has called"})
			}
			<-ctx.Done()
			panic(ctx.Err())
		})
		b.add("panics", "gives up", "ends")
		b.wantStates("ends running, gives up given up, panics restarting")
		b.remove("ends")
		if text := log.String(); !strings.Contains(text, "failed while it was ending") {
			t.Errorf("the log is %s", text)
		}
		b.stop()
	})
}

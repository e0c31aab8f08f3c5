package tenanttest_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// recorder runs a feed and writes down, a word each, what it tells and when.
type recorder struct {
	mu   sync.Mutex // guards told
	told []string

	began  time.Time
	cancel context.CancelFunc
	done   chan error
}

func record(tb testing.TB, f *tenanttest.Feed) *recorder {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &recorder{began: time.Now(), cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- f.Run(ctx, r.tell) }()
	tb.Cleanup(cancel)
	return r
}

func (r *recorder) tell(s tenant.Signal) {
	word := s.Kind.String()
	switch s.Kind {
	case tenant.SignalEvent:
		word = s.Event.TenantID
	case tenant.SignalHeartbeat:
		word += " " + s.Version.String()
	case tenant.SignalLost, tenant.SignalGap:
		word += ": " + s.Err.Error()
	default:
	}
	if at := time.Since(r.began); at > 0 {
		word += fmt.Sprintf(" @%s", at)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, word)
}

// take returns what was told since the last take.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

func (r *recorder) want(tb testing.TB, want ...string) {
	tb.Helper()
	synctest.Wait()
	if got := r.take(); !slices.Equal(got, want) {
		tb.Errorf("told %q, want %q", got, want)
	}
}

// publish publishes one event for each id.
func publish(tb testing.TB, f *tenanttest.Feed, ids ...string) {
	tb.Helper()
	for _, id := range ids {
		evt := tenant.Event{EventType: tenant.EventSuspended, TenantID: id}
		if err := f.Publish(tb.Context(), evt); err != nil {
			tb.Fatalf("publish %s: %v", id, err)
		}
	}
}

func TestFeedGivesEveryRunEverythingInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		publish(t, f, "lost")
		first, second := record(t, f), record(t, f)
		synctest.Wait()
		if got := f.Subscribers(); got != 2 {
			t.Errorf("%d subscribers, want 2", got)
		}
		publish(t, f, "a", "b", "c")
		first.want(t, "subscribed", "a", "b", "c")
		second.want(t, "subscribed", "a", "b", "c")
		second.cancel()
		synctest.Wait()
		publish(t, f, "d")
		first.want(t, "d")
		second.want(t)
		if err := <-second.done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v, want context.Canceled", err)
		}
	})
}

func TestFeedTellsWhatIsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		r := record(t, f)
		synctest.Wait()
		f.PublishRaw([]byte(`{"event_type":"tenant.deleted","tenant_id":"raw"}`))
		f.PublishRaw([]byte(`{"event_type":`))
		f.Heartbeat(tenant.Version{Epoch: "e", Revision: 7})
		f.Gap(nil)
		f.Gap(errors.New("trimmed"))
		f.Resubscribe()
		r.want(t, "subscribed", "raw", "bad event", "heartbeat e:7", "gap: events missed", "gap: trimmed", "subscribed")
		err := f.Publish(t.Context(), tenant.Event{TenantID: "a"})
		if !errors.Is(err, tenant.ErrInvalidEvent) {
			t.Errorf("Publish without a type: %v, want ErrInvalidEvent", err)
		}
	})
}

func TestFeedLinkDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed(tenanttest.WithBackoff(time.Second, 3*time.Second))
		r := record(t, f)
		synctest.Wait()
		publish(t, f, "a")
		f.Disconnect(errors.New("reset"))
		publish(t, f, "lost")
		r.want(t, "subscribed", "a", "lost: reset")
		time.Sleep(10 * time.Second)
		r.want(t, "lost: reset @1s", "lost: reset @3s", "lost: reset @6s", "lost: reset @9s")
		f.Connect()
		r.want(t, "subscribed @10s")
		publish(t, f, "b")
		r.want(t, "b @10s")
	})
}

func TestX26TheLongestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed(tenanttest.WithBackoff(math.MaxInt64/2+1, math.MaxInt64))
		r := record(t, f)
		synctest.Wait()
		f.Disconnect(errors.New("reset"))
		time.Sleep(time.Hour)
		r.want(t, "subscribed", "lost: reset")
	})
}

func TestFeedLinkBlips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		r := record(t, f)
		synctest.Wait()
		f.Disconnect(nil)
		f.Connect()
		r.want(t, "subscribed", "lost: feed disconnected", "subscribed")
	})
}

func TestFeedRefusesSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		before := record(t, f)
		synctest.Wait()
		f.Refuse(errors.New("NOPERM"))
		after := record(t, f)
		synctest.Wait()
		publish(t, f, "a")
		before.want(t, "subscribed", "a")
		after.want(t, "lost: NOPERM")
		f.Connect()
		after.want(t, "subscribed")
	})
}

func TestFeedSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		r := record(t, f)
		synctest.Wait()
		f.Silence(true)
		late := record(t, f)
		synctest.Wait()
		publish(t, f, "lost")
		f.Heartbeat(tenant.Version{Epoch: "e"})
		r.want(t, "subscribed")
		late.want(t)
		f.Silence(false)
		synctest.Wait()
		publish(t, f, "a")
		r.want(t, "a")
		late.want(t, "subscribed", "a")
	})
}

func TestFeedEventFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		r := record(t, f)
		synctest.Wait()
		f.Drop(2)
		publish(t, f, "a", "b", "c")
		r.want(t, "subscribed", "c")
		f.Duplicate(1)
		publish(t, f, "a", "b")
		r.want(t, "a", "a", "b")
		f.Delay(time.Minute)
		publish(t, f, "slow")
		f.Delay(0)
		publish(t, f, "behind")
		r.want(t)
		time.Sleep(time.Minute)
		r.want(t, "slow @1m0s", "behind @1m0s")
		f.Delay(time.Minute)
		f.Drop(5)
		f.ClearFaults()
		publish(t, f, "plain")
		r.want(t, "plain @1m0s")
	})
}

func TestFeedDisconnectLosesWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		r := record(t, f)
		synctest.Wait()
		f.Delay(time.Minute)
		publish(t, f, "slow")
		f.Delay(0)
		f.Reorder(5)
		publish(t, f, "gathered")
		f.Disconnect(nil)
		f.ClearFaults()
		f.Connect()
		time.Sleep(time.Hour)
		r.want(t, "subscribed", "lost: feed disconnected", "subscribed")
	})
}

func TestFeedReorderIsTheSameForTheSameSeed(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	shuffled := func(seed uint64) []string {
		var got []string
		synctest.Test(t, func(t *testing.T) {
			f := tenanttest.NewFeed(tenanttest.WithSeed(seed))
			r := record(t, f)
			synctest.Wait()
			f.Reorder(len(ids))
			publish(t, f, ids[:7]...)
			r.want(t, "subscribed")
			publish(t, f, ids[7], "after")
			synctest.Wait()
			got = r.take()
		})
		return got
	}
	got := shuffled(7)
	if again := shuffled(7); !slices.Equal(got, again) {
		t.Errorf("seed 7 gave %q, then %q", got, again)
	}
	if slices.Equal(got, shuffled(8)) || slices.IsSorted(got[:8]) {
		t.Errorf("seed 7 gave %q, want an order of its own", got)
	}
	if last := got[len(got)-1]; len(got) != 9 || last != "after" {
		t.Errorf("got %q, want 8 shuffled and then %q", got, "after")
	}
	slices.Sort(got[:8])
	if !slices.Equal(got[:8], ids) {
		t.Errorf("sorted: %q, want %q", got[:8], ids)
	}
}

func TestFeedFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		r := record(t, f)
		synctest.Wait()
		f.Delay(time.Second)
		f.Reorder(10)
		publish(t, f, "a", "a")
		if err := f.Flush(t.Context()); err != nil {
			t.Fatalf("Flush: %v", err)
		}
		if got, want := r.take(), []string{"subscribed", "a @1s", "a @1s"}; !slices.Equal(got, want) {
			t.Errorf("after Flush %q, want %q", got, want)
		}
		publish(t, f, "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := f.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush with little time: %v, want DeadlineExceeded", err)
		}
		flushed := make(chan error)
		go func() { flushed <- f.Flush(t.Context()) }()
		synctest.Wait()
		r.cancel()
		if err := <-flushed; err != nil {
			t.Errorf("Flush while the Run returns: %v, want nil", err)
		}
	})
}

func TestFeedEndRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		r := record(t, f)
		synctest.Wait()
		f.EndRuns(nil)
		if err := <-r.done; !errors.Is(err, tenanttest.ErrRunEnded) {
			t.Errorf("Run returned %v, want ErrRunEnded", err)
		}
		record(t, f).want(t, "subscribed")
	})
}

func TestFeedSharesNoPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := tenanttest.NewFeed()
		var got []string
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		for range 2 {
			go func() {
				_ = f.Run(ctx, func(s tenant.Signal) { // ends with ctx
					mu.Lock()
					defer mu.Unlock()
					if s.Kind == tenant.SignalEvent {
						got = append(got, string(s.Event.Payload))
						copy(s.Event.Payload, "XXXX")
					}
				})
			}()
		}
		synctest.Wait()
		evt := tenant.Event{EventType: tenant.EventDeleted, TenantID: "a", Payload: []byte(`{"a":1}`)}
		if err := f.Publish(ctx, evt); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if want := []string{`{"a":1}`, `{"a":1}`}; !slices.Equal(got, want) || string(evt.Payload) != want[0] {
			t.Errorf("got %q, and the publisher's is %q", got, evt.Payload)
		}
	})
}

// TestFeedManyPublishers lets the race detector look at everything at once, and counts.
func TestFeedManyPublishers(t *testing.T) {
	f := tenanttest.NewFeed(tenanttest.WithBackoff(time.Millisecond, time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	counts := make([]int, 3)
	var subscribed, runs, publishers sync.WaitGroup
	subscribed.Add(len(counts))
	for i := range counts {
		runs.Go(func() {
			_ = f.Run(ctx, func(s tenant.Signal) { // ends with ctx
				switch s.Kind {
				case tenant.SignalEvent:
					counts[i]++
				case tenant.SignalSubscribed:
					subscribed.Done()
				default:
				}
			})
		})
	}
	subscribed.Wait()
	for range 4 {
		publishers.Go(func() {
			for range 500 {
				publish(t, f, "a")
			}
		})
	}
	publishers.Wait()
	if err := f.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	runs.Wait()
	for i, n := range counts {
		if n != 2000 {
			t.Errorf("run %d got %d events, want 2000", i, n)
		}
	}
}

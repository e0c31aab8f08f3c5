package redisevents

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// kindOfFeed is one that has to do what every feed does.
type kindOfFeed struct {
	name  string
	keeps bool // what is announced while nobody is connected
	make  func(t testing.TB, cfg Config) tenant.Feed
	// announce is the command by which the text of an event goes out.
	announce func(ctx context.Context, pipe redis.Cmdable, text string) error
	// allow is what an ACL has to name.
	allow       []any
	connections int
}

var kindsOfFeed = []kindOfFeed{
	{
		name: "Pub/Sub",
		make: func(t testing.TB, cfg Config) tenant.Feed { return newFeed(t, cfg, environment) },
		announce: func(ctx context.Context, pipe redis.Cmdable, text string) error {
			return pipe.Publish(ctx, EnvironmentChannelName(environment), text).Err()
		},
		allow: []any{"&tenant-events:*", "+subscribe", "+ping"}, connections: 1,
	},
	{
		name: "Stream", keeps: true,
		make: func(t testing.TB, cfg Config) tenant.Feed { return newStream(t, cfg, environment) },
		announce: func(ctx context.Context, pipe redis.Cmdable, text string) error {
			return pipe.XAdd(ctx, &redis.XAddArgs{Stream: StreamKey(environment), Values: []any{streamField, text}}).Err()
		},
		allow: []any{"~tenant-events-stream:*", "+xread", "+xrevrange"}, connections: 2, // one for the heartbeats
	},
}

// bench is one kind of feed, one kind of server and a proxy between the two.
type bench struct {
	kindOfFeed

	real      *testserver.Redis // nil with miniredis
	cfg       Config            // by the proxy
	proxy     *testserver.Proxy
	publisher *Publisher // past the proxy
	client    *redis.Client
	restart   func() // kills the server and starts it again with its data
}

// onEveryBench runs a test for both feeds, each with miniredis and with a real server.
func onEveryBench(t *testing.T, limit time.Duration, test func(t *testing.T, b *bench)) {
	t.Helper()
	for _, kind := range kindsOfFeed {
		for name, start := range map[string]func(*testing.T, *bench) string{"miniredis": startMini, "redis-server": startReal} {
			t.Run(kind.name+" on "+name, func(t *testing.T) {
				b := &bench{kindOfFeed: kind}
				addr := start(t, b)
				b.proxy = testserver.NewProxy(t, addr)
				b.cfg = behind(b.proxy, limit)
				var err error
				if b.publisher, err = NewPublisher(PublisherConfig{Redis: Config{Addrs: []string{addr}}, Stream: true}); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = b.publisher.Close() })
				b.client = redis.NewClient(&redis.Options{Addr: addr})
				t.Cleanup(func() { _ = b.client.Close() })
				test(t, b)
			})
		}
	}
}

func startMini(t *testing.T, b *bench) string {
	t.Helper()
	server := miniredis.RunT(t)
	b.restart = func() {
		server.Close()
		server.Ctx, server.CtxCancel = context.WithCancel(t.Context()) //nolint:gosec // Close calls it; without it blocking reads get no answer any more
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	return server.Addr()
}

func startReal(t *testing.T, b *bench) string {
	t.Helper()
	b.real = testserver.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	b.restart = func() {
		b.real.Kill()
		b.real.Start()
	}
	return b.real.Addr()
}

// listen runs the feed and waits for the subscription.
func (b *bench) listen(t *testing.T, got *recorder) (stop func()) {
	t.Helper()
	stop = listen(t, b.make(t, b.cfg), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	return stop
}

// only checks that nothing else was told than a subscription and n events in their order.
func only(t *testing.T, got *recorder, n int) {
	t.Helper()
	expectNumbered(t, got.wait(t, tenant.SignalEvent, n), 0)
	if all := got.all(); len(all) != n+1 || all[0].Kind != tenant.SignalSubscribed {
		t.Errorf("%d signals, the first %s; gaps %v, lost %v", len(all), all[0].Kind, got.of(tenant.SignalGap), got.of(tenant.SignalLost))
	}
}

func TestFeedEveryEventOnceAndInOrder(t *testing.T) {
	onEveryBench(t, 5*time.Second, func(t *testing.T, b *bench) {
		publish(t, b.publisher, 1000, 1010) // before anybody listens
		var got recorder
		b.listen(t, &got)
		publish(t, b.publisher, 0, 300)
		only(t, &got, 300)
	})
}

func TestFeedFirstEventsOfANewServer(t *testing.T) {
	onEveryBench(t, time.Hour, // so long that nothing waits for a part of it in vain
		func(t *testing.T, b *bench) {
			var got recorder
			b.listen(t, &got)
			publish(t, b.publisher, 0, 3)
			only(t, &got, 3)
		})
}

func TestFeedBurst(t *testing.T) {
	const n = 5000
	onEveryBench(t, soon, func(t *testing.T, b *bench) {
		publish(t, b.publisher, 1000, 1001)
		var got recorder
		b.listen(t, &got)
		for from := 0; from < n; from += 500 {
			pipe := b.client.Pipeline()
			for i := from; i < from+500; i++ {
				text := fmt.Sprintf(`{"event_type":"tenant.updated","tenant_id":"t","event_id":"%d","tenant_slug":%q}`, i, strings.Repeat("x", 900))
				_ = b.announce(t.Context(), pipe, text) // Exec has the error
			}
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		only(t, &got, n)
	})
}

func TestD14FeedBadEventsAreToldAndPassedOver(t *testing.T) {
	onEveryBench(t, soon, func(t *testing.T, b *bench) {
		var got recorder
		b.listen(t, &got)
		texts := []string{
			"", "{", "\xff", `{"event_type":"tenant.created"}`, strings.Repeat("[", 20_000),
			`{"event_type":"tenant.created","tenant_id":"t","tenant_slug":"` + strings.Repeat("x", 10<<20) + `"}`,
		}
		for _, text := range texts {
			if err := b.announce(t.Context(), b.client, text); err != nil {
				t.Fatal(err)
			}
		}
		publish(t, b.publisher, 0, 1)
		expectNumbered(t, got.wait(t, tenant.SignalEvent, 1), 0)
		bad := got.of(tenant.SignalBadEvent)
		if len(bad) != len(texts) || len(got.all()) != len(texts)+2 {
			t.Fatalf("%d bad events, want %d, and %d signals; lost %v", len(bad), len(texts), len(got.all()), got.of(tenant.SignalLost))
		}
		for _, signal := range bad {
			if !errors.Is(signal.Err, tenant.ErrInvalidEvent) {
				t.Errorf("told %v", signal.Err)
			}
		}
	})
}

// TestFeedServerRestarts publishes while the server is up again and the feed is not connected yet.
func TestFeedServerRestarts(t *testing.T) {
	onEveryBench(t, soon, func(t *testing.T, b *bench) {
		var got recorder
		b.listen(t, &got)
		publish(t, b.publisher, 0, 5)
		got.wait(t, tenant.SignalEvent, 5)
		b.proxy.Set(testserver.Close)
		got.wait(t, tenant.SignalLost, 1)
		b.restart()
		publish(t, b.publisher, 5, 10)
		b.proxy.Set(testserver.Pass)
		got.wait(t, tenant.SignalSubscribed, 2)
		after := 10
		if b.keeps {
			got.wait(t, tenant.SignalEvent, after)
		}
		publish(t, b.publisher, after, 15)
		events := got.wait(t, tenant.SignalEvent, map[bool]int{true: 15, false: 10}[b.keeps])
		if b.keeps {
			expectNumbered(t, events, 0)
		} else {
			expectNumbered(t, events[5:], after)
		}
		if gaps := got.of(tenant.SignalGap); len(gaps) != 0 {
			t.Errorf("told of a gap: %v", gaps[0].Err)
		}
	})
}

func TestFeedServerIsKilled(t *testing.T) {
	onEveryBench(t, soon, func(t *testing.T, b *bench) {
		var got recorder
		b.listen(t, &got)
		for i := range 3 {
			b.restart()
			got.wait(t, tenant.SignalLost, i+1)
			got.wait(t, tenant.SignalSubscribed, i+2)
			publish(t, b.publisher, i, i+1)
			expectNumbered(t, got.wait(t, tenant.SignalEvent, i+1), 0)
		}
	})
}

func TestD02FeedFaultsOfAnOpenLink(t *testing.T) {
	faults := []struct {
		name string
		mode testserver.Mode
		want error
	}{
		{"silence", testserver.Silence, ErrSilent},
		{"never answered", testserver.Mute, ErrSilent},
		{"trickle", testserver.Trickle, ErrSilent},
		{"closed", testserver.Close, nil},
		{"reset", testserver.Reset, nil},
		{"cut in a frame", testserver.CutAfter(3), nil},
	}
	onEveryBench(t, shortLimit, func(t *testing.T, b *bench) {
		var got recorder
		b.listen(t, &got)
		for i, fault := range faults {
			before := got.count(tenant.SignalLost)
			b.proxy.Set(fault.mode)
			publish(t, b.publisher, 1000, 1001)
			lost := got.wait(t, tenant.SignalLost, before+1)[before]
			if lost.Err == nil || fault.want != nil && !errors.Is(lost.Err, fault.want) {
				t.Errorf("%s: lost: %v, want %v", fault.name, lost.Err, fault.want)
			}
			subscribed := got.count(tenant.SignalSubscribed)
			b.proxy.Set(testserver.Pass)
			got.wait(t, tenant.SignalSubscribed, subscribed+1)
			publish(t, b.publisher, i, i+1)
			eventually(t, "the next event", func() bool {
				events := got.of(tenant.SignalEvent)
				return len(events) > 0 && events[len(events)-1].Event.EventID == fmt.Sprint(i)
			})
		}
		if missed := got.of(tenant.SignalEvent); b.keeps && len(missed) != 2*len(faults) {
			t.Errorf("%d events, want %d: none lost and none twice", len(missed), 2*len(faults))
		}
	})
}

func TestFeedIdleLinkStaysUp(t *testing.T) {
	onEveryBench(t, shortLimit, func(t *testing.T, b *bench) {
		var got recorder
		b.listen(t, &got)
		timer := time.NewTimer(4 * shortLimit) // what must not happen has to be given the time
		defer timer.Stop()
		<-timer.C
		publish(t, b.publisher, 0, 1)
		only(t, &got, 1)
		if n := b.proxy.Accepted(); n != b.connections {
			t.Errorf("%d connections", n)
		}
	})
}

func TestFeedEndsWithItsContext(t *testing.T) {
	modes := map[string]testserver.Mode{
		"subscribed": testserver.Pass, "silent": testserver.Silence, "trickle": testserver.Trickle, "mute": testserver.Mute,
	}
	// Longer than it may take, and no longer: miniredis notices only at the end of a blocking read that nobody waits.
	onEveryBench(t, 6*time.Second, func(t *testing.T, b *bench) {
		before := takeFootprint(t)
		for name, mode := range modes {
			var got recorder
			b.proxy.Set(testserver.Pass)
			stop := b.listen(t, &got)
			b.proxy.Set(mode)
			told := len(got.all())
			stop()
			eventually(t, name+": no connection", func() bool { return b.proxy.Conns() == 0 })
			if len(got.all()) != told {
				t.Errorf("%s: told %v when ctx ended", name, got.all()[told:])
			}
		}
		expectFootprint(t, before)
	})
}

// TestFeedTellsNothingAfterItsContext: the sink ends ctx in the middle of what was read together.
func TestFeedTellsNothingAfterItsContext(t *testing.T) {
	onEveryBench(t, soon, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		var got recorder
		done := make(chan error)
		go func() {
			done <- b.make(t, b.cfg).Run(ctx, func(signal tenant.Signal) {
				got.sink(signal)
				if signal.Kind == tenant.SignalEvent {
					cancel()
				}
			})
		}()
		got.wait(t, tenant.SignalSubscribed, 1)
		_, err := b.client.TxPipelined(t.Context(), func(pipe redis.Pipeliner) error {
			for range 20 {
				_ = b.announce(t.Context(), pipe, `{"event_type":"tenant.updated","tenant_id":"t","event_id":"0"}`) // Exec has the error
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
		only(t, &got, 1)
	})
}

func TestD27FeedIsRefused(t *testing.T) {
	onEveryBench(t, time.Second, func(t *testing.T, b *bench) {
		if b.real == nil {
			t.Skip("miniredis has no ACL")
		}
		b.real.Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">"+canary, "resetchannels", "-@all")
		b.cfg.Username, b.cfg.Password = "reader", canary
		var got recorder
		listen(t, b.make(t, b.cfg), got.sink)
		for _, lost := range got.wait(t, tenant.SignalLost, 20) {
			if !errors.Is(lost.Err, ErrRefused) || !strings.Contains(lost.Err.Error(), "NOPERM") || strings.Contains(lost.Err.Error(), canary) {
				t.Fatalf("lost: %v", lost.Err)
			}
		}
		for missing := range b.allow { // any one of what it needs
			rules := append([]any{"ACL", "SETUSER", "reader", "resetchannels", "resetkeys", "-@all"}, b.allow[:missing]...)
			b.real.Do(t.Context(), append(rules, b.allow[missing+1:]...)...)
			got.wait(t, tenant.SignalLost, got.count(tenant.SignalLost)+2)
			if n := got.count(tenant.SignalSubscribed); n != 0 && b.keeps {
				t.Fatalf("without %v it is subscribed", b.allow[missing])
			}
		}
		b.real.Do(t.Context(), "ACL", "SETUSER", "reader", "-@all")
		got.wait(t, tenant.SignalLost, got.count(tenant.SignalLost)+2)
		subscribed := got.count(tenant.SignalSubscribed) // and from now on there can be none
		b.real.Do(t.Context(), append([]any{"ACL", "SETUSER", "reader"}, b.allow...)...)
		got.wait(t, tenant.SignalSubscribed, subscribed+1)
		publish(t, b.publisher, 0, 5)
		expectNumbered(t, got.wait(t, tenant.SignalEvent, 5), 0)
	})
}

func TestFeedSeveralRunsAtOnce(t *testing.T) {
	const runs = 5
	onEveryBench(t, 5*time.Second, func(t *testing.T, b *bench) {
		feed := b.make(t, b.cfg)
		var got [runs]recorder
		var stops [runs]func()
		for i := range runs {
			stops[i] = listen(t, feed, got[i].sink)
			got[i].wait(t, tenant.SignalSubscribed, 1)
		}
		publish(t, b.publisher, 0, 50)
		for i := range runs {
			only(t, &got[i], 50)
		}
		stops[0]()
		publish(t, b.publisher, 50, 60)
		for i := 1; i < runs; i++ {
			only(t, &got[i], 60)
		}
		only(t, &got[0], 50)
	})
}

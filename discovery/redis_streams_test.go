package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

var streamKey = redisevents.StreamKey("test")

// byStream has the discovery follow the stream. Nothing but a gap makes it ask the manager again.
func (r *realServers) byStream(t *testing.T) {
	t.Helper()
	feed, err := redisevents.NewStream(r.cfg.RedisConfig, r.cfg.Environment)
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.Feed, r.cfg.RedisConfig = feed, redisevents.Config{}
	r.cfg.ResyncInterval, r.cfg.PollInterval = time.Hour, time.Hour
	r.cfg.ResyncSpread = 20 * time.Millisecond
}

// startStream is a discovery that follows the stream, with one tenant that came by it.
func (r *realServers) startStream(t *testing.T) *discovery.TenantDiscovery {
	t.Helper()
	r.byStream(t)
	r.add(t, "first")
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	r.add(t, "second")
	r.wantEqual(t, d)
	return d
}

// wantGoesOn checks that a change arrives by the stream, without the manager being asked.
func (r *realServers) wantGoesOn(t *testing.T, d *discovery.TenantDiscovery) {
	t.Helper()
	wantStateSoon(t, d, discovery.Live)
	requests := r.manager.Requests()
	r.add(t, "goes-on")
	r.wantEqual(t, d)
	if n := r.manager.Requests() - requests; n != 0 {
		t.Errorf("the manager was asked %d times: it was not an event that made it right", n)
	}
}

// wantAsked waits until the manager has been asked for its list since, and checks that it was not asked often.
func (r *realServers) wantAsked(t *testing.T, d *discovery.TenantDiscovery, since int) {
	t.Helper()
	eventually(t, func() string {
		if r.manager.Requests() == since {
			return fmt.Sprintf("no request for the list: %+v", d.Status())
		}
		return ""
	})
	wantStateSoon(t, d, discovery.Live)
	if n := r.manager.Requests() - since; n > 3 {
		t.Errorf("%d requests", n)
	}
}

// reads returns how many reads of streams the server has counted.
func (r *realServers) reads(t *testing.T) int {
	t.Helper()
	stats, _ := r.redis.Do(t.Context(), "INFO", "commandstats").(string)
	_, after, _ := strings.Cut(stats, "cmdstat_xread:calls=")
	calls, _, _ := strings.Cut(after, ",")
	n, _ := strconv.Atoi(calls) // none is zero
	return n
}

// TestD21StreamLosesNothing: what is published while the link is down is told afterwards, also a change of configuration,
// which no list shows.
func TestD21StreamLosesNothing(t *testing.T) {
	r := newReal(t)
	proxy := r.via(t)
	d := r.startStream(t)
	told := keep(d)
	proxy.Set(testserver.Close)
	eventually(t, func() string {
		if d.Status().FeedConnected {
			return "still connected"
		}
		return ""
	})
	if err := r.manager.RotateCredentials(t.Context(), "first", service); err != nil {
		t.Fatal(err)
	}
	r.add(t, "meanwhile")
	r.suspend(t, "second")
	proxy.Set(testserver.Pass)
	r.wantEqual(t, d)
	wantStateSoon(t, d, discovery.Live)
	eventually(t, func() string {
		told.mu.Lock()
		defer told.mu.Unlock()
		got := strings.Join(told.entries, ", ")
		for _, want := range []string{"~first tenant.credentials.rotated", "+meanwhile", "-second"} {
			if strings.Count(got, want) != 1 {
				return "told " + got
			}
		}
		return ""
	})
	r.log.want(t, 0, slog.LevelDebug, "is gone")
	r.wantGoesOn(t, d)
}

func TestD21StreamTrimmedPastOurID(t *testing.T) {
	r := newReal(t)
	proxy := r.via(t)
	d := r.startStream(t)
	proxy.Set(testserver.Close)
	r.add(t, "a", "b", "c")
	r.redis.Do(t.Context(), "XTRIM", streamKey, "MAXLEN", "1")
	since := r.manager.Requests()
	proxy.Set(testserver.Pass)
	r.wantEqual(t, d)
	r.wantAsked(t, d, since)
	r.wantGoesOn(t, d)
}

// TestD21StreamChangedUnderUs does so while the discovery waits for news, with a change that nobody announces.
func TestD21StreamChangedUnderUs(t *testing.T) {
	tests := map[string]func(ctx context.Context, tx redis.Pipeliner){
		"trimmed to nothing": func(ctx context.Context, tx redis.Pipeliner) { tx.XTrimMaxLen(ctx, streamKey, 0) },
		"key deleted":        func(ctx context.Context, tx redis.Pipeliner) { tx.Del(ctx, streamKey) },
		"FLUSHALL":           func(ctx context.Context, tx redis.Pipeliner) { tx.FlushAll(ctx) },
		"ids going back": func(ctx context.Context, tx redis.Pipeliner) {
			tx.Del(ctx, streamKey)
			tx.XAdd(ctx, &redis.XAddArgs{Stream: streamKey, ID: "1-1", Values: []any{"event", `{"event_type":"tenant.updated","tenant_id":"x"}`}})
		},
		"deleted and begun again": func(ctx context.Context, tx redis.Pipeliner) {
			tx.Del(ctx, streamKey)
			tx.XAdd(ctx, &redis.XAddArgs{Stream: streamKey, Values: []any{"event", `{"event_type":"tenant.updated","tenant_id":"x"}`}})
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			r := newReal(t)
			d := r.startStream(t)
			since := r.manager.Requests()
			if _, err := r.redis.Client().TxPipelined(t.Context(), func(tx redis.Pipeliner) error {
				change(t.Context(), tx)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			r.wantAsked(t, d, since)
			if !d.Status().FeedConnected || d.Status().Counters.Subscriptions != 1 {
				t.Errorf("the link broke: %v", d.Status().FeedError)
			}
			r.wantGoesOn(t, d)
			reads := r.reads(t)
			timer := time.NewTimer(time.Second) // of the silence limit: three reads and a few more
			defer timer.Stop()
			<-timer.C
			if n := r.reads(t) - reads; n > 10 {
				t.Errorf("%d reads in a second without news", n)
			}
		})
	}
}

// TestD21StreamWhileLoading: the server comes back with its data, and answers LOADING for a while.
func TestD21StreamWhileLoading(t *testing.T) {
	r := newReal(t, "--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
	d := r.startStream(t)
	_, err := r.redis.Client().Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for i := range 500 {
			pipe.Set(t.Context(), fmt.Sprint("filler", i), strings.Repeat("x", 100), 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.manager.RotateCredentials(t.Context(), "first", service); err != nil { // so that it stands on the last
		t.Fatal(err)
	}
	eventually(t, func() string {
		if n := d.Status().Counters.EventsApplied; n < 2 {
			return fmt.Sprint(n, " events")
		}
		return ""
	})
	r.redis.Do(t.Context(), "SAVE")
	r.redis.Kill()
	wantStateSoon(t, d, discovery.Polling)
	r.redis.Start()
	wantStateSoon(t, d, discovery.Live)
	refused := r.log.find(slog.LevelDebug, "no subscription", "LOADING")
	if len(refused) == 0 || len(refused) > 60 {
		t.Errorf("%d attempts while it was loading: %.3q", len(refused), refused)
	}
	r.log.want(t, 0, slog.LevelDebug, "is gone")
	eventually(t, func() string { // the publisher has to find Redis again, too
		if err := r.manager.RotateCredentials(t.Context(), "first", service); err != nil {
			return err.Error()
		}
		return ""
	})
	r.wantGoesOn(t, d)
}

// TestD21StreamOfAReplica: the server becomes the replica of an empty one. Nobody can add to the stream, which is another
// one now, until it is a master again.
func TestD21StreamOfAReplica(t *testing.T) {
	r := newReal(t)
	d := r.startStream(t)
	other := testserver.StartRedis(t)
	since := r.manager.Requests()
	r.redis.Do(t.Context(), "REPLICAOF", other.Host(), other.Port())
	r.wantAsked(t, d, since) // the stream is gone, or the link was
	if err := r.manager.Add(t.Context(), service, "unannounced"); err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("published on a replica: %v", err)
	}
	r.redis.Do(t.Context(), "REPLICAOF", "NO", "ONE")
	r.add(t, "announced") // with a revision behind one that is missing
	r.wantEqual(t, d)
	r.wantGoesOn(t, d)
}

// TestD21StreamRefused: the reason is in Status, and it is tried again without haste.
func TestD21StreamRefused(t *testing.T) {
	r := newReal(t)
	user := []any{"ACL", "SETUSER", "reader", "on", ">sesame", "~" + streamKey, "+xrevrange", "+hello"}
	r.redis.Do(t.Context(), user...)
	r.cfg.RedisConfig.Username, r.cfg.RedisConfig.Password = "reader", "sesame"
	r.byStream(t)
	r.add(t, "acme")
	d := r.start(t)
	wantState(t, d, discovery.Polling)
	eventually(t, func() string {
		if n := len(r.log.find(slog.LevelDebug, "no subscription", "NOPERM")); n < 4 {
			return fmt.Sprint(n, " attempts")
		}
		return ""
	})
	if s := d.Status(); !errors.Is(s.FeedError, redisevents.ErrRefused) || !strings.Contains(s.FeedError.Error(), "NOPERM") || s.Counters.Subscriptions != 0 {
		t.Errorf("Status says %v, %d subscriptions", s.FeedError, s.Counters.Subscriptions)
	}
	r.log.want(t, 1, slog.LevelWarn, "discovery is polling", "NOPERM")
	r.log.want(t, 0, slog.LevelDebug, "sesame")
	r.add(t, "meanwhile")
	r.redis.Do(t.Context(), "ACL", "SETUSER", "reader", "+xread")
	r.wantEqual(t, d)
	r.wantGoesOn(t, d)

	r.redis.Do(t.Context(), "ACL", "SETUSER", "reader", "-xread") // in the middle of it
	wantStateSoon(t, d, discovery.Polling)
	if err := d.Status().FeedError; !errors.Is(err, redisevents.ErrRefused) {
		t.Errorf("Status says %v", err)
	}
	r.add(t, "later")
	r.redis.Do(t.Context(), "ACL", "SETUSER", "reader", "+xread")
	r.wantEqual(t, d)
	wantStateSoon(t, d, discovery.Live)
}

// TestD02StreamSilence: the link is open and carries nothing.
func TestD02StreamSilence(t *testing.T) {
	r := newReal(t)
	proxy := r.via(t)
	d := r.startStream(t)
	proxy.Set(testserver.Mute)
	r.add(t, "missed")
	wantStateSoon(t, d, discovery.Polling)
	if !errors.Is(d.Status().FeedError, redisevents.ErrSilent) {
		t.Errorf("Status says %v", d.Status().FeedError)
	}
	proxy.Set(testserver.Pass)
	r.wantEqual(t, d)
	r.wantGoesOn(t, d)
}

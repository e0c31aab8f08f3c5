package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// TestD04OnRealRedis holds the list's answer, publishes an add and a remove on Redis, and then lets the answer go. With
// the list asked for before the subscription is confirmed, both would be lost.
func TestD04OnRealRedis(t *testing.T) {
	r := newReal(t)
	r.add(t, "stays", "leaves")
	r.cfg.ResyncInterval = time.Hour
	reached, release := r.manager.HoldList()
	f := fixture{cfg: r.cfg}
	d := f.new(t)
	told := keep(d)
	started := make(chan error)
	go func() { started <- d.Start(t.Context()) }()
	<-reached
	r.add(t, "new")
	r.suspend(t, "leaves")
	eventually(t, func() string { // the answer comes after them
		if n := d.Status().Counters.EventsApplied; n != 2 {
			return fmt.Sprint(n, " events have arrived")
		}
		return ""
	})
	release()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		got := d.ActiveTenantIDs()
		slices.Sort(got)
		if !slices.Equal(got, []string{"new", "stays"}) {
			return fmt.Sprint("the set is ", got)
		}
		return ""
	})
	wantStateSoon(t, d, discovery.Live)
	if n := r.manager.Requests(); n != 1 {
		t.Errorf("%d requests: it was a reconcile that made it right", n)
	}
	wantTold(t, told, "")
}

// TestD01RedisKilled: changes happen while it is away, some of them undone again.
func TestD01RedisKilled(t *testing.T) {
	r := newReal(t)
	r.add(t, "leaves", "blinks")
	d := r.start(t)
	told := keep(d)
	r.redis.Kill()
	wantStateSoon(t, d, discovery.Polling)
	r.add(t, "new", "short")
	r.suspend(t, "leaves")
	r.suspend(t, "short")
	r.suspend(t, "blinks")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := r.manager.Reactivate(ctx, "blinks"); err == nil {
		t.Error("Redis is down, and the manager could publish")
	}
	requests := r.manager.Requests()
	r.redis.Start()
	r.wantEqual(t, d)
	wantStateSoon(t, d, discovery.Live)
	eventually(t, func() string {
		told.mu.Lock()
		defer told.mu.Unlock()
		if got := strings.Join(told.entries, ", "); got != "-leaves, +new" {
			return "told " + got
		}
		return ""
	})
	if n := r.manager.Requests() - requests; n > 2 {
		t.Errorf("%d requests", n)
	}
	eventually(t, func() string { // the publisher has to find Redis again, too
		if err := r.manager.RotateCredentials(t.Context(), "new", service); err != nil {
			return err.Error()
		}
		return ""
	})
	r.add(t, "live-again")
	r.wantEqual(t, d)
}

// TestD02SilentLink: the connection stays open and nothing passes.
func TestD02SilentLink(t *testing.T) {
	r := newReal(t)
	proxy := r.via(t)
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	proxy.Set(testserver.Mute)
	r.add(t, "missed")
	wantStateSoon(t, d, discovery.Polling)
	if !errors.Is(d.Status().FeedError, redisevents.ErrSilent) {
		t.Errorf("Status says %v", d.Status().FeedError)
	}
	proxy.Set(testserver.Pass)
	r.wantEqual(t, d)
	wantStateSoon(t, d, discovery.Live)
}

// TestD20SlowReaderIsCutOff: Redis closes the connection whose output buffer is over its limit.
func TestD20SlowReaderIsCutOff(t *testing.T) {
	r := newReal(t, "--client-output-buffer-limit", "pubsub 256kb 128kb 1")
	r.cfg.RedisConfig.SilenceLimit = time.Minute // so that it is Redis that ends it
	proxy := r.via(t)
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	proxy.Set(testserver.Silence)
	filler := strings.Repeat("x", 64<<10)
	eventually(t, func() string {
		if err := r.redis.Client().Publish(t.Context(), redisevents.EnvironmentChannelName("test"), filler).Err(); err != nil {
			t.Fatal(err)
		}
		if n := r.redis.Client().PubSubNumSub(t.Context(), redisevents.EnvironmentChannelName("test")).Val(); n[redisevents.EnvironmentChannelName("test")] > 0 {
			return "Redis has not cut the reader off"
		}
		return ""
	})
	r.add(t, "missed")
	proxy.Set(testserver.Pass)
	r.wantEqual(t, d)
	wantStateSoon(t, d, discovery.Live)
	r.add(t, "live")
	r.wantEqual(t, d)
}

// TestD23RedisDownAtStart: Start returns, and it is live once Redis is there.
func TestD23RedisDownAtStart(t *testing.T) {
	r := newReal(t)
	r.add(t, "acme")
	r.redis.Kill()
	d := r.start(t)
	wantState(t, d, discovery.Polling)
	wantSet(t, d, "acme")
	r.add(t, "missed")
	r.redis.Start()
	r.wantEqual(t, d)
	wantStateSoon(t, d, discovery.Live)
}

// TestD27RefusedByACL: never live, and the reason is in Status and in one warning.
func TestD27RefusedByACL(t *testing.T) {
	r := newReal(t)
	r.redis.Do(t.Context(), "ACL", "SETUSER", "deaf", "on", ">sesame", "+ping", "+hello", "+psubscribe", "+subscribe", "resetchannels")
	r.cfg.RedisConfig.Username, r.cfg.RedisConfig.Password = "deaf", "sesame"
	r.add(t, "acme")
	began := time.Now()
	d := r.start(t)
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Logf("Start took %v; a refusal should end its wait", took)
	}
	wantState(t, d, discovery.Polling)
	wantSet(t, d, "acme")
	eventually(t, func() string {
		if n := len(r.log.find(slog.LevelDebug, "no subscription")); n < 5 {
			return fmt.Sprint(n, " attempts")
		}
		return ""
	})
	s := d.Status()
	if !errors.Is(s.FeedError, redisevents.ErrRefused) || !strings.Contains(s.FeedError.Error(), "NOPERM") || s.Counters.Subscriptions != 0 {
		t.Errorf("Status says %v, %d subscriptions", s.FeedError, s.Counters.Subscriptions)
	}
	r.log.want(t, 1, slog.LevelWarn, "discovery is polling", "NOPERM")
	r.log.want(t, 0, slog.LevelDebug, "sesame")
	r.redis.Do(t.Context(), "ACL", "SETUSER", "deaf", "allchannels")
	wantStateSoon(t, d, discovery.Live)
}

// TestD28SplitFrames: every event arrives although each byte comes by itself.
func TestD28SplitFrames(t *testing.T) {
	r := newReal(t)
	r.cfg.ResyncInterval = time.Hour
	r.via(t).Set(testserver.SplitBytes)
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	for i := range 10 {
		r.add(t, fmt.Sprint("t", i))
	}
	r.wantEqual(t, d)
	if s := d.Status(); s.State != discovery.Live || s.Counters.EventsBad != 0 || r.manager.Requests() != 1 {
		t.Errorf("%+v, %d requests", s, r.manager.Requests())
	}
}

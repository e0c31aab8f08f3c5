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
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
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

// startBounded fails the test when Start does not return.
func (r *realServers) startBounded(t *testing.T) *discovery.TenantDiscovery {
	t.Helper()
	f := fixture{cfg: r.cfg}
	d := f.new(t)
	started := make(chan error, 1)
	go func() { started <- d.Start(t.Context()) }()
	eventually(t, func() string {
		select {
		case err := <-started:
			if err != nil {
				t.Fatal(err)
			}
			return ""
		default:
			return "Start has not returned"
		}
	})
	return d
}

// TestD27StartIsBounded, whatever becomes of the subscription: by its first failure or, where it neither fails nor comes,
// by FeedTimeout. A hundred attempts of 25 discoveries leave nothing and never hold more than a connection each.
func TestD27StartIsBounded(t *testing.T) {
	const discoveries, attempts = 25, 100
	tests := []struct {
		name                 string
		mode                 testserver.Mode
		user                 string
		feedTimeout, silence time.Duration
	}{
		{"refused", testserver.Pass, "narrow", time.Hour, time.Minute},
		{"accepted and closed", testserver.Refuse, "", time.Hour, time.Minute},
		{"never answered, and given up", testserver.Mute, "", time.Hour, 50 * time.Millisecond},
		{"never answered", testserver.Mute, "", 50 * time.Millisecond, time.Second},
	}
	r := newReal(t)
	r.redis.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">sesame", "-@all", "+ping", "+subscribe", "resetchannels")
	r.add(t, "acme")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxy := r.via(t)
			proxy.Set(tt.mode)
			r.log = &logBook{}
			r.cfg.Logger, r.cfg.FeedTimeout, r.cfg.RedisConfig.SilenceLimit = slog.New(r.log), tt.feedTimeout, tt.silence
			r.cfg.RedisConfig.Username, r.cfg.RedisConfig.Password = tt.user, ""
			if tt.user != "" {
				r.cfg.RedisConfig.Password = "sesame"
			}
			before := r.resources(t)
			var all []*discovery.TenantDiscovery
			for range discoveries {
				d := r.startBounded(t)
				wantState(t, d, discovery.Polling)
				all = append(all, d)
			}
			eventually(t, func() string {
				if open := proxy.Conns(); open > 2*discoveries { // of each one may be on its way out
					t.Fatal(open, " connections are open")
				}
				if n := len(r.log.find(slog.LevelDebug, "DEBUG no subscription")); n < attempts {
					return fmt.Sprint(n, " attempts have failed")
				}
				return ""
			})
			for _, d := range all {
				if s := d.Status(); s.State != discovery.Polling || s.FeedError == nil || s.Counters.Subscriptions != 0 {
					t.Errorf("Status says %v, %v", s.State, s.FeedError)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			r.log.want(t, discoveries, slog.LevelWarn, "discovery is polling")
			r.wantNoMore(t, before)
		})
	}
}

// TestD27RefusedByACL: never live, and the reason is in Status and in one warning.
func TestD27RefusedByACL(t *testing.T) {
	r := newReal(t)
	r.redis.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">sesame", "+ping", "+hello", "+psubscribe", "+subscribe", "resetchannels")
	r.cfg.RedisConfig.Username, r.cfg.RedisConfig.Password = "narrow", "sesame"
	r.cfg.FeedTimeout = time.Hour // so that it is the refusal that ends Start's wait
	r.add(t, "acme")
	d := r.startBounded(t)
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
	r.redis.Do(t.Context(), "ACL", "SETUSER", "narrow", "allchannels")
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

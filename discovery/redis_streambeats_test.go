package discovery_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/tenantwatch/tenantwatch/discovery"
)

// TestX06AStreamThatTakesNoMore: Redis takes PUBLISH and refuses XADD. The manager's heartbeats name what was announced, and by
// these a reader of the stream sees that it is behind. What the stream is given later is old by then.
func TestX06AStreamThatTakesNoMore(t *testing.T) {
	for name, refuse := range map[string][]any{
		"full":     {"CONFIG", "SET", "maxmemory", "1"},
		"no right": {"ACL", "SETUSER", "default", "-xadd"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReal(t)
			r.cfg.RedisConfig.NoHeartbeats = false
			d := r.startStream(t)
			r.redis.Do(t.Context(), refuse...)
			before := r.redis.Do(t.Context(), "XLEN", streamKey)
			r.add(t, "announced", "announced-too")
			r.suspend(t, "first")
			if after := r.redis.Do(t.Context(), "XLEN", streamKey); after != before {
				t.Fatalf("the stream has %v entries, before it had %v", after, before)
			}
			r.beat(t)
			r.wantEqual(t, d)
			wantStateSoon(t, d, discovery.Live)
			if gap := r.log.find(slog.LevelInfo, "discovery is syncing", "the manager is at"); len(gap) == 0 {
				t.Error("it was not a heartbeat that told")
			}
		})
	}
}

// TestX06AHeartbeatThatOvertakesItsEntry asks for nothing: each entry comes by another connection than the heartbeat.
func TestX06AHeartbeatThatOvertakesItsEntry(t *testing.T) {
	r := newReal(t)
	r.cfg.RedisConfig.NoHeartbeats = false
	d := r.startStream(t)
	requests := r.manager.Requests()
	for i := range 8 {
		for j := range 10 {
			r.add(t, fmt.Sprint("t", i, "-", j))
		}
		r.beat(t)
	}
	r.wantEqual(t, d)
	v := r.manager.Version()
	v.Revision++
	if err := r.publisher.Heartbeat(t.Context(), "test", v); err != nil { // which comes behind all others
		t.Fatal(err)
	}
	eventually(t, func() string {
		if r.manager.Requests() == requests {
			return "the last heartbeat was not heard"
		}
		return ""
	})
	if n := r.manager.Requests() - requests; n != 1 {
		t.Errorf("the manager was asked %d times", n)
	}
}

// TestX06AReaderThatMayNotHearHeartbeats has the entries all the same, and says once what it lacks.
func TestX06AReaderThatMayNotHearHeartbeats(t *testing.T) {
	r := newReal(t)
	r.redis.Do(t.Context(), "ACL", "SETUSER", "reader", "on", ">sesame", "~"+streamKey, "+xread", "+xrevrange", "+hello", "resetchannels")
	r.cfg.RedisConfig.Username, r.cfg.RedisConfig.Password, r.cfg.RedisConfig.NoHeartbeats = "reader", "sesame", false
	d := r.startStream(t)
	eventually(t, func() string {
		if len(r.log.find(slog.LevelWarn, "subscribed, but not to everything", "tenant-heartbeat:test", "NOPERM")) == 1 {
			return ""
		}
		return "no word of the heartbeats"
	})
	r.wantGoesOn(t, d)
	r.log.want(t, 1, slog.LevelWarn, "not to everything")
}

// beat sends one heartbeat.
func (r *realServers) beat(t *testing.T) {
	t.Helper()
	if err := r.publisher.Heartbeat(t.Context(), "test", r.manager.Version()); err != nil {
		t.Fatal(err)
	}
}

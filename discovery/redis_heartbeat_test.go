package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// beats sends heartbeats, more often than a manager has to, until the test ends.
func (r *realServers) beats(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var beating sync.WaitGroup
	beating.Go(func() {
		for ctx.Err() == nil {
			// A Redis that is down is what some tests are about. What is announced by then may be older.
			_ = r.publisher.Heartbeat(ctx, "test", r.manager.Version())
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		beating.Wait()
	})
}

// subscribeAtReplica makes the discovery subscribe at a replica of the server that the manager publishes on.
func (r *realServers) subscribeAtReplica(t *testing.T) *testserver.Redis {
	t.Helper()
	replica := testserver.StartRedis(t)
	r.replicate(t, replica)
	r.cfg.RedisConfig.Host, r.cfg.RedisConfig.Port, r.cfg.RedisConfig.NoHeartbeats = replica.Host(), replica.Port(), false
	return replica
}

func (r *realServers) replicate(t *testing.T, replica *testserver.Redis) {
	t.Helper()
	replica.Do(t.Context(), "REPLICAOF", r.redis.Host(), r.redis.Port())
	eventually(t, func() string {
		info, _ := replica.Do(t.Context(), "INFO", "replication").(string)
		if !strings.Contains(info, "master_link_status:up") {
			return info
		}
		return ""
	})
}

// TestD03PingsAreAnsweredAndNothingComes: the discovery's server is cut off from the manager's. It answers whatever it is
// asked, and has nothing to tell.
func TestD03PingsAreAnsweredAndNothingComes(t *testing.T) {
	r := newReal(t, "--repl-diskless-sync-delay", "0")
	replica := r.subscribeAtReplica(t)
	r.cfg.RedisConfig.SilenceLimit = time.Minute // what is lost is lost for want of a heartbeat, and not by silence
	r.add(t, "stays", "leaves")
	r.cfg.PollInterval = time.Second
	d := r.start(t)
	r.beats(t)
	wantStateSoon(t, d, discovery.Live)
	r.add(t, "by-event")
	r.wantEqual(t, d)

	var wrong sync.Map
	polling := make(chan struct{})
	told := sync.OnceFunc(func() { close(polling) })
	d.OnStatusChange(func(_ context.Context, s discovery.Status) { // which is told after Status says it, and the log too
		select {
		case <-polling:
			wrong.Store(s.State, s.FeedConnected)
		default:
			if s.State == discovery.Polling {
				told()
			}
		}
	})
	replica.Do(t.Context(), "REPLICAOF", "NO", "ONE")
	wantStateSoon(t, d, discovery.Polling)
	<-polling
	if err := d.Status().FeedError; !errors.Is(err, redisevents.ErrNoHeartbeat) {
		t.Errorf("Status says %v", err)
	}
	eventually(t, func() string {
		if found := r.log.find(slog.LevelWarn, "discovery is polling", "heartbeat", "check that the tenant manager runs"); len(found) != 1 {
			return fmt.Sprint("lines that say so: ", found)
		}
		return ""
	})
	subscriptions := d.Status().Counters.Subscriptions
	r.add(t, "missed")
	r.suspend(t, "leaves")
	r.wantEqual(t, d)
	eventually(t, func() string { // the new connection is subscribed again, and brings nothing either
		if list, _ := replica.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").(string); !strings.Contains(list, "sub=2") {
			return "nobody is subscribed: " + list
		}
		return ""
	})
	r.add(t, "missed-too")
	r.wantEqual(t, d)
	wrong.Range(func(state, connected any) bool {
		t.Errorf("it was %v meanwhile, connected: %v", state, connected)
		return true
	})
	if n := d.Status().Counters.Subscriptions; n != subscriptions {
		t.Errorf("%d subscriptions were told", n-subscriptions)
	}

	r.replicate(t, replica)
	wantStateSoon(t, d, discovery.Live)
	r.add(t, "by-event-again")
	r.wantEqual(t, d)
}

// TestHeartbeatsThatAreRefused are warned of once, and cost nothing else.
func TestHeartbeatsThatAreRefused(t *testing.T) {
	r := newReal(t)
	r.redis.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">sesame", "-@all", "+subscribe", "+ping", "resetchannels", "&tenant-events:*")
	r.cfg.RedisConfig.Username, r.cfg.RedisConfig.Password, r.cfg.RedisConfig.NoHeartbeats = "narrow", "sesame", false
	r.cfg.ResyncInterval = time.Hour
	d := r.start(t)
	r.beats(t)
	wantStateSoon(t, d, discovery.Live)
	r.add(t, "acme")
	r.wantEqual(t, d)
	for i := range uint64(3) {
		r.redis.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
		eventually(t, func() string {
			if n := d.Status().Counters.Subscriptions; n != i+2 {
				return fmt.Sprint(n, " subscriptions")
			}
			return ""
		})
	}
	wantStateSoon(t, d, discovery.Live)
	r.log.want(t, 1, slog.LevelWarn, "subscribed, but not to everything", "tenant-heartbeat:test", "NOPERM")
	r.log.want(t, 0, slog.LevelDebug, "sesame")
}

// TestD03AHeartbeatTellsOfALostEvent, of the last one too, after which no other shows that it is missing.
func TestD03AHeartbeatTellsOfALostEvent(t *testing.T) {
	r := newReal(t)
	r.cfg.ResyncInterval = time.Hour
	r.add(t, "acme")
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	ahead := r.manager.Version()
	ahead.Revision++
	if err := r.publisher.Heartbeat(t.Context(), "test", ahead); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if n := r.manager.Requests(); n < 2 {
			return fmt.Sprint(n, " requests")
		}
		return ""
	})
	wantSet(t, d, "acme")
	if err := r.publisher.Heartbeat(t.Context(), "", tenant.Version{Epoch: "e"}); err != nil { // of other environments
		t.Fatal(err)
	}
}

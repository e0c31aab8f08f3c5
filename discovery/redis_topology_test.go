package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// patientPublisher is between a manager and Redis: an event whose publishing takes longer is given up, so that a Redis that
// is away does not hold the next ones up.
type patientPublisher struct {
	publish   func(ctx context.Context, evt tenant.Event) error
	published atomic.Int64
}

func (p *patientPublisher) Publish(ctx context.Context, evt tenant.Event) error {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	err := p.publish(ctx, evt)
	if err == nil {
		p.published.Add(1)
	}
	return err
}

// churn makes 200 changes a second until stop is called, which waits for the last of them.
func (r *realServers) churn(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	changing.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		for n := 0; ctx.Err() == nil; n++ {
			changing.Go(func() { r.change(t, n) }) // each waits for its event to be published, or not
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		changing.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// change adds a tenant or, two times out of three, suspends or reactivates one of those before. It is the nth.
func (r *realServers) change(t *testing.T, n int) {
	t.Helper()
	before := fmt.Sprint("churn-", max(0, n-30)/3*3)
	var err error
	switch n % 3 {
	case 0:
		err = r.manager.Add(t.Context(), service, fmt.Sprint("churn-", n))
	case 1:
		err = r.manager.Suspend(t.Context(), before)
	default:
		err = r.manager.Reactivate(t.Context(), before)
	}
	var unannounced *tenanttest.PublishError
	if err != nil && n > 100 && !errors.As(err, &unannounced) {
		t.Logf("change %d: %v", n, err) // the one before it may come after it
	}
}

// awaitDriver waits, at the very end, for the goroutine by which a client of go-redis looks once a second whether a server
// is there again. It ends within a second of the client's Close.
func awaitDriver(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		stacks := make([]byte, 4<<20)
		eventually(t, func() string {
			if all := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(all, "tryDial") {
				return all
			}
			return ""
		})
	})
}

// TestD22SentinelFailoverUnderLoad: the master is killed while 200 changes a second are made.
func TestD22SentinelFailoverUnderLoad(t *testing.T) {
	awaitDriver(t)
	s := testserver.StartSentinels(t)
	cfg := redisevents.Config{Addrs: s.Addrs(), MasterName: s.Name, SilenceLimit: time.Second}
	publisher := newPublisher(t, cfg)
	patient := &patientPublisher{publish: publisher.Publish}
	r := newServers(t, patient.Publish)
	r.cfg.RedisConfig, r.cfg.RedisConfig.NoHeartbeats = cfg, true
	r.cfg.ResyncInterval = time.Hour
	r.add(t, "acme")
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	stop := r.churn(t)
	eventually(t, func() string {
		if n := d.Status().Counters.EventsApplied; n < 200 {
			return fmt.Sprint(n, " events were applied")
		}
		return ""
	})

	killed := time.Now()
	s.Master(t).Kill()
	wantStateSoon(t, d, discovery.Polling)
	eventually(t, func() string {
		if at := s.Master(t); at != s.Servers[1] {
			return "no failover"
		}
		return ""
	})
	failover := time.Now()
	published := patient.published.Load()
	eventually(t, func() string { // the manager's side has to find the new master too, or nobody could know of the last changes
		if n := patient.published.Load() - published; n < 200 {
			return fmt.Sprint(n, " events were published since")
		}
		return ""
	})
	stop()
	r.wantEqual(t, d)
	wantStateSoon(t, d, discovery.Live)
	t.Logf("the failover took %v, equal %v after it", failover.Sub(killed), time.Since(failover))
	if d.Status().Counters.Subscriptions < 2 {
		t.Errorf("%+v", d.Status())
	}
	applied := d.Status().Counters.EventsApplied
	r.add(t, "by-event")
	r.wantEqual(t, d)
	if d.Status().Counters.EventsApplied == applied {
		t.Error("the last one came by a list")
	}
}

// TestClusterNodeIsKilled: the one that the discovery has subscribed at. It goes to another one.
func TestClusterNodeIsKilled(t *testing.T) {
	awaitDriver(t)
	cluster := testserver.StartCluster(t)
	var turn atomic.Int64
	r := newServers(t, func(ctx context.Context, evt tenant.Event) error {
		data, err := json.Marshal(evt)
		for range cluster.Nodes { // the next one, whichever the reader is at, and one more where that is dead
			node := cluster.Nodes[int(turn.Add(1))%len(cluster.Nodes)]
			if err == nil && node.Client().Publish(ctx, redisevents.EnvironmentChannelName(evt.Environment), data).Err() == nil {
				return nil
			}
		}
		return errors.Join(err, errors.New("no node takes it")) // nothing else would tell the discovery of this change
	})
	r.cfg.RedisConfig = redisevents.Config{Addrs: cluster.Addrs(), NoHeartbeats: true} // its link ends by the kill alone, and not by silence
	r.cfg.ResyncInterval = time.Hour
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	for i := range 9 {
		r.add(t, fmt.Sprint("before-", i))
	}
	r.wantEqual(t, d)
	subscribedAt := func() (at int) {
		eventually(t, func() string {
			for i, node := range cluster.Nodes {
				if list, err := node.Client().ClientList(t.Context()).Result(); err == nil && strings.Contains(list, "sub=2") {
					at = i
					return ""
				}
			}
			return "nobody is subscribed"
		})
		return at
	}
	first := subscribedAt()
	cluster.Nodes[first].Kill()
	r.add(t, "missed")
	eventually(t, func() string {
		if n := d.Status().Counters.Subscriptions; n != 2 {
			return fmt.Sprint(n, " subscriptions")
		}
		return ""
	})
	wantStateSoon(t, d, discovery.Live)
	r.wantEqual(t, d)
	if at := subscribedAt(); at == first {
		t.Error("it is subscribed at the node that is dead")
	}
	for i := range 9 {
		r.add(t, fmt.Sprint("after-", i))
	}
	r.wantEqual(t, d)
}

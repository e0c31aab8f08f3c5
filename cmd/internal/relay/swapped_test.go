package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// listOf is a TMClient that reads the store itself.
type listOf struct {
	*store.Store

	mu    sync.Mutex
	asked int
}

func (l *listOf) GetActiveTenantsByService(context.Context, string) ([]*tenant.Summary, error) {
	return nil, errors.New("it is asked by FetchSnapshot")
}

func (l *listOf) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (out tenant.Snapshot, err error) {
	l.mu.Lock()
	l.asked++
	l.mu.Unlock()
	err = l.Active(ctx, req.Service, func(a store.ActiveVersion) error {
		out = tenant.Snapshot{Version: a.Version, Environment: environment}
		return nil
	}, func(row tenant.Summary) error {
		req.Each(tenant.RowOf(row))
		return nil
	})
	return out, err
}

func (l *listOf) times() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// TestX04ManyChangeManyTenants and nothing is lost: a reader over Pub/Sub, and one of the stream, asks for no list, and is live
// all the time.
func TestX04ManyChangeManyTenants(t *testing.T) {
	const clients, tenants, changes = 8, 40, 100 // of each client, two events each
	server := testserver.StartRedis(t)
	s, _ := useStore(t, "sqlite:"+t.TempDir()+"/tenants.db")
	publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: addressOf(server), Stream: true})
	must(t, err)
	defer func() { _ = publisher.Close() }()
	r, _ := relay(t, s, addressOf(server), Config{Publisher: publisher})
	ids := make([]string, tenants)
	for i := range ids {
		ids[i] = create(t, s, fmt.Sprintf("tenant %d", i))
		_, err := s.Associate(t.Context(), ids[i], "ledger", store.NewAssociation{})
		must(t, err)
	}
	waitUntilSent(t, s)

	known := status(t, s).Newest
	stream, err := redisevents.NewStream(addressOf(server), environment)
	must(t, err)
	readers := map[string]*reader{"Pub/Sub": startReader(t, s, addressOf(server), nil), "stream": startReader(t, s, addressOf(server), stream)}

	var work sync.WaitGroup
	for c := range clients {
		work.Go(func() {
			for i := range changes { // each client has tenants of its own, so that no change is refused
				id := ids[c+clients*(i%(tenants/clients))]
				if err := errors.Join(s.SuspendTenant(t.Context(), id), s.ReactivateTenant(t.Context(), id)); err != nil {
					t.Error(err)
				}
				r.Wake()
			}
		})
	}
	work.Wait()
	waitUntilSent(t, s)
	newest := status(t, s).Newest

	for name, one := range readers {
		eventually(t, name+": the last event", func() bool { return one.d.Status().Counters.EventsApplied == newest-known })
		if got := one.lists.times(); got != one.before || one.d.Len() != tenants {
			t.Errorf("%s: %d lists were asked for in between, and it has %d tenants", name, got-one.before, one.d.Len())
		}
		one.mu.Lock()
		if len(one.states) > 0 {
			t.Errorf("%s: it was %v in between", name, one.states)
		}
		one.mu.Unlock()
	}
}

// reader is a discovery that is live, and what becomes of it.
type reader struct {
	d      *discovery.TenantDiscovery
	lists  *listOf
	before int // lists

	mu     sync.Mutex
	states []discovery.State
}

func startReader(t *testing.T, s *store.Store, server redisevents.Config, feed tenant.Feed) *reader {
	t.Helper()
	r := &reader{lists: &listOf{Store: s}}
	d, err := discovery.NewTenantDiscovery(discovery.Config{
		ServiceName: "ledger", Environment: environment, TMClient: r.lists, RedisConfig: server, Feed: feed,
		Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	must(t, d.Start(t.Context()))
	t.Cleanup(func() { must(t, d.Close()) })
	eventually(t, "a live reader", func() bool { return d.Status().State == discovery.Live })
	r.d, r.before = d, r.lists.times()
	d.OnStatusChange(func(_ context.Context, status discovery.Status) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if status.State != discovery.Live {
			r.states = append(r.states, status.State)
		}
	})
	return r
}

package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// real is a manager behind HTTP that publishes on a real redis-server, and the configuration of a discovery of them.
type realServers struct {
	redis     *testserver.Redis
	publisher *redisevents.Publisher
	manager   *tenanttest.Manager
	client    *managerapi.Client
	cfg       discovery.Config
	log       *logBook
}

func newReal(t *testing.T, redisArgs ...string) *realServers {
	t.Helper()
	redis := testserver.StartRedis(t, redisArgs...)
	cfg := redisevents.Config{Host: redis.Host(), Port: redis.Port(), SilenceLimit: time.Second, NoHeartbeats: true} // as few tests send any
	publisher := newPublisher(t, cfg)
	r := newServers(t, publisher.Publish)
	r.redis, r.publisher, r.cfg.RedisConfig = redis, publisher, cfg
	return r
}

// newServers makes all but Redis.
func newServers(t *testing.T, publish func(context.Context, tenant.Event) error) *realServers {
	t.Helper()
	r := &realServers{log: &logBook{}}
	r.manager = tenanttest.NewManager(tenanttest.WithPublisher(publish), tenanttest.WithEnvironment("test"))
	api := httptest.NewServer(r.manager)
	t.Cleanup(api.Close)
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: api.URL, APIKey: managerapi.StaticKey(r.manager.APIKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	r.client = client
	r.cfg = discovery.Config{
		ServiceName:  service,
		TMClient:     client,
		Environment:  "test",
		Logger:       slog.New(r.log),
		ResyncSpread: 200 * time.Millisecond,
		FeedTimeout:  2 * time.Second,
	}
	return r
}

// newPublisher announces by Pub/Sub and by a stream.
func newPublisher(t *testing.T, cfg redisevents.Config) *redisevents.Publisher {
	t.Helper()
	publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := publisher.Close(); err != nil {
			t.Error(err)
		}
	})
	return publisher
}

// via sends the discovery's connections to Redis through a proxy.
func (r *realServers) via(t *testing.T) *testserver.Proxy {
	t.Helper()
	proxy := testserver.NewProxy(t, r.redis.Addr())
	r.cfg.RedisConfig.Host, r.cfg.RedisConfig.Port = proxy.Host(), proxy.Port()
	return proxy
}

func (r *realServers) start(t *testing.T) *discovery.TenantDiscovery {
	t.Helper()
	f := fixture{cfg: r.cfg}
	return f.start(t)
}

// add makes changes that may not be announced, because Redis is down.
func (r *realServers) add(t *testing.T, ids ...string) {
	t.Helper()
	var unannounced *tenanttest.PublishError
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := r.manager.Add(ctx, service, ids...); err != nil && !errors.As(err, &unannounced) {
		t.Fatal(err)
	}
}

func (r *realServers) suspend(t *testing.T, id string) {
	t.Helper()
	var unannounced *tenanttest.PublishError
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := r.manager.Suspend(ctx, id); err != nil && !errors.As(err, &unannounced) {
		t.Fatal(err)
	}
}

// wantEqual waits until the set is the manager's, which is what must come out in the end.
func (r *realServers) wantEqual(t *testing.T, d *discovery.TenantDiscovery) {
	t.Helper()
	var want []string
	for _, row := range r.manager.Active(service) {
		want = append(want, row.ID)
	}
	slices.Sort(want)
	eventually(t, func() string {
		got := d.ActiveTenantIDs()
		slices.Sort(got)
		if slices.Equal(got, want) {
			return ""
		}
		return fmt.Sprintf("%d tenants, want %d; %+v", len(got), len(want), d.Status())
	})
}

func wantStateSoon(t *testing.T, d *discovery.TenantDiscovery, want discovery.State) {
	t.Helper()
	eventually(t, func() string {
		if s := d.Status(); s.State != want {
			return fmt.Sprintf("the state is %v, want %v; feed error %v, snapshot error %v", s.State, want, s.FeedError, s.SnapshotError)
		}
		return ""
	})
}

// eventually polls until check has nothing more to complain of.
func eventually(t testing.TB, check func() string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		complaint := check()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
		<-time.After(5 * time.Millisecond)
	}
}

package relay

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const environment = "staging"

var encryptionKey = []byte("0123456789abcdef0123456789abcdef")

// onEach runs a test on every kind of database.
func onEach(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, "sqlite:"+filepath.Join(t.TempDir(), "tenants.db")) })
	t.Run("postgres", func(t *testing.T) { fn(t, testserver.SharedPostgres(t).Database(t)) })
}

func openStore(ctx context.Context, dsn string) (*store.Store, error) {
	return store.Open(ctx, dsn, store.Options{Environment: environment, Key: encryptionKey})
}

func newPublisher(cfg redisevents.Config) (*redisevents.Publisher, error) {
	return redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg})
}

// useStore opens the store; done closes it, at the end of the test at the latest.
func useStore(t testing.TB, dsn string) (s *store.Store, done func()) {
	t.Helper()
	s, err := openStore(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	done = sync.OnceFunc(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(done)
	return s, done
}

// relay runs one over s until stop is called, or the test ends. Without a Publisher in cfg it publishes to the server.
func relay(t testing.TB, s *store.Store, server redisevents.Config, cfg Config) (_ *Relay, stop func()) {
	t.Helper()
	if cfg.Publisher == nil {
		publisher, err := newPublisher(server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = publisher.Close() })
		cfg.Publisher = publisher
	}
	cfg.Store, cfg.Keep = s, -1
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Cleanup(stop)
	return r, stop
}

func addressOf(r *testserver.Redis) redisevents.Config {
	return redisevents.Config{Host: r.Host(), Port: r.Port()}
}

// ear is a plain subscriber, which keeps what it hears.
type ear struct {
	mu   sync.Mutex
	data []string
}

// listen subscribes to the channels until the test ends, and returns once that is confirmed.
func listen(t testing.TB, server *testserver.Redis, channels ...string) *ear {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	subscription := client.Subscribe(t.Context(), channels...)
	for range channels {
		if _, err := subscription.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	e, done := &ear{}, make(chan struct{})
	go func() {
		defer close(done)
		e.hear(context.Background(), subscription)
	}()
	t.Cleanup(func() {
		_ = subscription.Close()
		_ = client.Close()
		<-done
	})
	return e
}

func (e *ear) hear(ctx context.Context, subscription *redis.PubSub) {
	for {
		message, err := subscription.ReceiveMessage(ctx)
		if err != nil {
			return
		}
		e.mu.Lock()
		e.data = append(e.data, message.Payload)
		e.mu.Unlock()
	}
}

// heard returns all messages so far.
func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.data...)
}

// events parses what was heard.
func (e *ear) events(t testing.TB) []tenant.Event {
	t.Helper()
	var all []tenant.Event
	for _, data := range e.heard() {
		event, err := tenant.ParseEvent([]byte(data))
		if err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		all = append(all, event)
	}
	return all
}

func (e *ear) wait(t testing.TB, n int) {
	t.Helper()
	eventually(t, "the events", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.data) >= n
	})
}

func create(t testing.TB, s *store.Store, name string) string {
	t.Helper()
	made, _, err := s.CreateTenant(t.Context(), store.NewTenant{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

func status(t testing.TB, s *store.Store) store.OutboxStatus {
	t.Helper()
	got, err := s.Outbox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func waitUntilSent(t testing.TB, s *store.Store) {
	t.Helper()
	eventually(t, "an empty outbox", func() bool { return status(t, s).Pending == 0 })
}

// allEvents reads the outbox from the beginning.
func allEvents(t testing.TB, s *store.Store) []store.Event {
	t.Helper()
	var all []store.Event
	for after := uint64(0); ; after = all[len(all)-1].Revision {
		page, _, err := s.EventsAfter(t.Context(), tenant.Version{Revision: after}, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRelayToRedis is all parts together.
func TestRelayToRedis(t *testing.T) {
	onEach(t, func(t *testing.T, dsn string) {
		server := testserver.StartRedis(t)
		s, _ := useStore(t, dsn)
		heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
		beats := listen(t, server, redisevents.HeartbeatChannelName(environment))
		r, _ := relay(t, s, addressOf(server), Config{Poll: time.Hour})
		for range 10 {
			id := create(t, s, "acme "+time.Now().Format(time.StampNano))
			_, err := s.Associate(t.Context(), id, "ledger", store.NewAssociation{})
			must(t, err)
			must(t, s.SuspendTenant(t.Context(), id))
			must(t, s.ReactivateTenant(t.Context(), id))
			r.Wake()
		}
		heard.wait(t, 50)
		waitUntilSent(t, s)
		for i, event := range allEvents(t, s) {
			if event.Revision != uint64(i+1) {
				t.Errorf("event %d has revision %d", i, event.Revision)
			}
		}
		if got := inOrder(t, heard.events(t)); got != 50 {
			t.Errorf("heard %d events, want 50", got)
		}
		if beats.wait(t, 1); len(beats.heard()) == 0 {
			t.Error("no heartbeat")
		}
	})
}

package outbox

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

var outboxFull = flag.Bool("outbox.full", false, "TestM05…: as many events as an hour of 50 changes a second makes")

// TestM03KilledBetweenPublishAndMark has a process that sends its first batch and dies before it marks it.
func TestM03KilledBetweenPublishAndMark(t *testing.T) {
	onEach(t, func(t *testing.T, dsn string) {
		server := testserver.StartRedis(t)
		heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
		s, closeStore := useStore(t, dsn)
		for i := range 10 {
			create(t, s, fmt.Sprintf("tenant %d", i))
		}
		events := allEvents(t, s)
		closeStore() // a SQLite file has one process
		c := startChild(t, job{DSN: dsn, Host: server.Host(), Port: server.Port(), Die: true})
		<-c.done
		heard.wait(t, len(events))
		s, _ = useStore(t, dsn)
		if got := status(t, s); got.Pending != len(events) {
			t.Fatalf("%d events wait, want %d", got.Pending, len(events))
		}
		relay(t, s, addressOf(server), Config{})
		heard.wait(t, 2*len(events))
		waitUntilSent(t, s)
		if got := checkPublished(t, events, heard.heard()); got != len(events) {
			t.Errorf("%d events were sent twice with the same bytes, want %d", got, len(events))
		}
	})
}

// TestM05RedisDownAndDrained kills redis-server and makes changes meanwhile, which all succeed.
func TestM05RedisDownAndDrained(t *testing.T) {
	const tenants, services = 20, 9 // a reactivation is 10 events
	want := 3_000
	if *outboxFull {
		want = 180_000
	}
	onEach(t, func(t *testing.T, dsn string) {
		server := testserver.StartRedis(t)
		proxy := testserver.NewProxy(t, server.Addr())
		s, _ := useStore(t, dsn)
		r, _ := relay(t, s, redisevents.Config{Host: proxy.Host(), Port: proxy.Port()}, Config{})
		ids := make([]string, tenants)
		for i := range ids {
			ids[i] = create(t, s, fmt.Sprintf("tenant %d", i))
			for n := range services {
				_, err := s.Associate(t.Context(), ids[i], fmt.Sprintf("service-%d", n), store.NewAssociation{})
				must(t, err)
			}
			r.Wake()
		}
		waitUntilSent(t, s)
		before := len(allEvents(t, s))

		server.Kill()
		began := time.Now()
		for i := 0; i*(services+2) < want; i++ {
			must(t, s.SuspendTenant(t.Context(), ids[i%tenants]))
			must(t, s.ReactivateTenant(t.Context(), ids[i%tenants]))
			r.Wake()
		}
		filled := time.Since(began)
		proxy.Set(testserver.Refuse)
		server.Start()
		heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
		events := allEvents(t, s)[before:]
		if got := status(t, s); got.Pending != len(events) || got.Quarantined != 0 {
			t.Errorf("%+v, want all %d waiting", got, len(events))
		}

		proxy.Set(testserver.Pass)
		heard.wait(t, 1)
		began = time.Now()
		heard.wait(t, len(events))
		took := time.Since(began)
		waitUntilSent(t, s)
		checkPublished(t, events, heard.heard())
		t.Logf("%d events of %d tenants made in %s while Redis was away, drained in %s: %.0f a second",
			len(events), tenants, filled.Round(time.Millisecond), took.Round(time.Millisecond), float64(len(events))/took.Seconds())
	})
}

// TestM06RefusedByRedis has an ACL that lacks the channel of one tenant.
func TestM06RefusedByRedis(t *testing.T) {
	onEach(t, func(t *testing.T, dsn string) {
		const password = "canary-of-the-redis-password"
		server := testserver.StartRedis(t)
		s, _ := useStore(t, dsn)
		good, bad := create(t, s, "good"), create(t, s, "bad")
		rename := func(id, name string) {
			_, err := s.UpdateTenant(t.Context(), id, store.TenantPatch{Name: &name})
			must(t, err)
		}
		rename(bad, "bad 2")
		rename(good, "good 2")
		server.Do(t.Context(), "ACL", "SETUSER", "publisher", "on", ">"+password, "resetchannels", "-@all", "+publish",
			"&tenant-heartbeat:*", "&"+redisevents.TenantChannelName(good))
		heard := listen(t, server, redisevents.TenantChannelName(good), redisevents.TenantChannelName(bad))

		cfg := addressOf(server)
		cfg.Username, cfg.Password = "publisher", password
		publisher, err := redisevents.NewPublisher(cfg, redisevents.TenantChannel)
		must(t, err)
		defer func() { _ = publisher.Close() }()
		var log syncBuffer
		r, _ := relay(t, s, cfg, Config{Publisher: publisher, Attempts: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))})

		heard.wait(t, 2) // both of the good one
		eventually(t, "the first event of the bad tenant set aside", func() bool { return status(t, s).Quarantined == 1 })
		server.Do(t.Context(), "ACL", "SETUSER", "publisher", "&"+redisevents.TenantChannelName(bad))
		rename(good, "good 3")
		r.Wake()
		waitUntilSent(t, s)
		heard.wait(t, 4)
		var got []string
		for _, event := range heard.events(t) {
			got = append(got, fmt.Sprint(event.Revision))
		}
		if got := strings.Join(got, " "); got != "1 4 3 5" && got != "1 4 5 3" {
			t.Errorf("heard %s", got)
		}
		if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "revision=2") || strings.Contains(text, password) {
			t.Errorf("logged:\n%s", text)
		}
	})
}

// TestM06ARowThatIsNoEvent has one spoilt in the database.
func TestM06ARowThatIsNoEvent(t *testing.T) {
	server, database := testserver.StartRedis(t), testserver.SharedPostgres(t)
	dsn := database.Database(t)
	heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
	s, _ := useStore(t, dsn)
	for i := range 5 {
		create(t, s, fmt.Sprintf("tenant %d", i))
	}
	database.Run(t, "psql", "-d", dsn, "-c", `UPDATE outbox SET data = '{' WHERE revision = 2`)
	relay(t, s, addressOf(server), Config{})
	heard.wait(t, 4)
	waitUntilSent(t, s)
	if got := status(t, s); got.Quarantined != 1 || got.Sent != 5 {
		t.Errorf("%+v", got)
	}
}

// TestM05RedisIsFull is a Redis that takes messages and, for its stream, has no memory.
func TestM05RedisIsFull(t *testing.T) {
	server := testserver.StartRedis(t)
	s, _ := useStore(t, "sqlite:"+t.TempDir()+"/tenants.db")
	publisher, err := redisevents.NewPublisher(addressOf(server), redisevents.EnvironmentChannel, redisevents.WithStream(0))
	must(t, err)
	defer func() { _ = publisher.Close() }()
	server.Do(t.Context(), "CONFIG", "SET", "maxmemory", "1")
	var log syncBuffer
	relay(t, s, addressOf(server), Config{Publisher: publisher, Attempts: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	create(t, s, "acme")
	eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "Redis takes no events") })
	server.Do(t.Context(), "CONFIG", "SET", "maxmemory", "0")
	waitUntilSent(t, s)
	if got := status(t, s); got.Quarantined != 0 {
		t.Errorf("%+v", got)
	}
}

// TestM08OneOfTwoIsKilled has two managers on one PostgreSQL. The one that relays is killed while changes are made.
func TestM08OneOfTwoIsKilled(t *testing.T) {
	server := testserver.StartRedis(t)
	dsn := testserver.SharedPostgres(t).Database(t)
	heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
	s, _ := useStore(t, dsn)
	j := job{DSN: dsn, Host: server.Host(), Port: server.Port()}
	first := startChild(t, j)
	eventually(t, "the first relay", func() bool { return first.said(leads) == 1 })
	second := startChild(t, j)
	stop := keepChanging(t, s)
	heard.wait(t, 200)
	if second.said(leads) > 0 {
		t.Error("two relay at a time")
	}
	first.kill()
	eventually(t, "the second relay", func() bool { return second.said(leads) == 1 })
	now := len(heard.heard())
	heard.wait(t, now+200)
	stop()
	waitUntilSent(t, s)
	events := allEvents(t, s)
	eventually(t, "all events", func() bool { return inOrder(t, heard.events(t)) == len(events) })
	twice := checkPublished(t, events, heard.heard())
	t.Logf("%d events, all published, %d of them twice", len(events), twice)
}

// leads is what a relay logs when it begins.
const leads = "this process relays the events now"

// keepChanging changes some tenants, until stop, and fails the test if a change fails.
func keepChanging(t *testing.T, s *store.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var ids []string
	for i := range 5 {
		ids = append(ids, create(t, s, fmt.Sprintf("tenant %d", i)))
	}
	go func() {
		for i := 0; ; i++ {
			name := fmt.Sprintf("name %d", i)
			_, err := s.UpdateTenant(ctx, ids[i%len(ids)], store.TenantPatch{Name: &name})
			if err != nil {
				done <- err
				return
			}
		}
	}()
	return func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a change failed: %v", err)
		}
	}
}

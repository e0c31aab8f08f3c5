package relay

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
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

// TestX39AnACLThatLacksOneTenant holds up that one alone, and its events come in their order once it is mended.
func TestX39AnACLThatLacksOneTenant(t *testing.T) {
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
		publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg, Channels: redisevents.TenantChannel})
		must(t, err)
		defer func() { _ = publisher.Close() }()
		var log syncBuffer
		r, _ := relay(t, s, cfg, Config{Publisher: publisher, Attempts: 2, Logger: slog.New(slog.NewTextHandler(&log, nil))})

		heard.wait(t, 2) // both of the good one
		eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "events could not be sent") })
		rename(good, "good 3")
		r.Wake()
		heard.wait(t, 3)
		eventually(t, "only both events of the bad one waiting", func() bool { return status(t, s).Pending == 2 })
		if got := status(t, s); got.Quarantined != 0 {
			t.Errorf("%+v, want none set aside", got)
		}
		server.Do(t.Context(), "ACL", "SETUSER", "publisher", "&"+redisevents.TenantChannelName(bad))
		waitUntilSent(t, s)
		heard.wait(t, 5)
		var got []string
		for _, event := range heard.events(t) {
			got = append(got, fmt.Sprint(event.Revision))
		}
		if got := strings.Join(got, " "); got != "1 4 5 2 3" {
			t.Errorf("heard %s", got)
		}
		if text := log.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, password) {
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

// refusals are ways in which Redis takes PUBLISH and refuses XADD, and what ends each.
var refusals = map[string]struct{ begin, end []any }{
	"full":     {[]any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}},
	"no right": {[]any{"ACL", "SETUSER", "publisher", "-xadd"}, []any{"ACL", "SETUSER", "publisher", "+xadd"}},
	"no key":   {[]any{"ACL", "SETUSER", "publisher", "resetkeys"}, []any{"ACL", "SETUSER", "publisher", "~tenant-events-stream:*"}},
}

// TestX06RedisRefusesTheStream and takes what is published: listeners hear everything, nothing is set aside, and the stream
// gets all of it later.
func TestX06RedisRefusesTheStream(t *testing.T) {
	expectLate(t, refusals["full"].begin, refusals["full"].end)
}

// TestX39AnACLWithoutTheStream is the one that README had for the manager: the events are good, though those of one tenant
// alone are refused and heartbeats are taken.
func TestX39AnACLWithoutTheStream(t *testing.T) {
	for _, name := range []string{"no right", "no key"} {
		t.Run(name, func(t *testing.T) { expectLate(t, refusals[name].begin, refusals[name].end) })
	}
}

func expectLate(t *testing.T, begin, end []any) {
	t.Helper()
	server := testserver.StartRedis(t)
	s, _ := useStore(t, "sqlite:"+t.TempDir()+"/tenants.db")
	const password = "canary-of-the-redis-password"
	server.Do(t.Context(), "ACL", "SETUSER", "publisher", "on", ">"+password, "resetchannels", "&tenant-events:*", "&tenant-heartbeat:*",
		"~tenant-events-stream:*", "-@all", "+publish", "+xadd")
	cfg := addressOf(server)
	cfg.Username, cfg.Password = "publisher", password
	publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg, Stream: true})
	must(t, err)
	defer func() { _ = publisher.Close() }()
	heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
	server.Do(t.Context(), begin...)
	var log syncBuffer
	r, _ := relay(t, s, cfg, Config{Publisher: publisher, Attempts: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	id := create(t, s, "acme")
	for i := range 5 {
		name := fmt.Sprintf("acme %d", i)
		_, err := s.UpdateTenant(t.Context(), id, store.TenantPatch{Name: &name})
		must(t, err)
		r.Wake()
	}
	heard.wait(t, 6)
	if got := status(t, s); got.Pending != 6 || got.Quarantined != 0 {
		t.Errorf("%+v, want all waiting", got)
	}
	eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "does not take them into the stream") })
	server.Do(t.Context(), end...)
	waitUntilSent(t, s)
	entries, err := server.Client().XRange(t.Context(), redisevents.StreamKey(environment), "-", "+").Result()
	must(t, err)
	var revisions []string
	for _, entry := range entries {
		event, err := tenant.ParseEvent([]byte(fmt.Sprint(entry.Values["event"])))
		must(t, err)
		revisions = append(revisions, fmt.Sprint(event.Revision))
	}
	if got := strings.Join(revisions, " "); got != "1 2 3 4 5 6" {
		t.Errorf("the stream has the revisions %s", got)
	}
	if got := len(heard.heard()); got != 6 || status(t, s).Quarantined != 0 {
		t.Errorf("heard %d events, want each of 6 once; %+v", got, status(t, s))
	}
}

// TestX09TwoManagersAndAMasterThatBecomesAReplica behind the one address of Redis, whose connections stay open.
func TestX09TwoManagersAndAMasterThatBecomesAReplica(t *testing.T) {
	old, next := testserver.StartRedis(t), testserver.StartRedis(t)
	proxy := testserver.NewProxy(t, old.Addr())
	dsn := testserver.SharedPostgres(t).Database(t)
	s, _ := useStore(t, dsn)
	other, _ := useStore(t, dsn)
	for _, one := range []*store.Store{s, other} {
		publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: redisevents.Config{Host: proxy.Host(), Port: proxy.Port()}, Stream: true})
		must(t, err)
		t.Cleanup(func() { _ = publisher.Close() })
		relay(t, one, redisevents.Config{}, Config{Publisher: publisher, Poll: 10 * time.Millisecond})
	}
	create(t, s, "before")
	waitUntilSent(t, s)

	heard := listen(t, next, redisevents.EnvironmentChannelName(environment))
	old.Do(t.Context(), "REPLICAOF", next.Host(), next.Port())
	proxy.SetTarget(next.Addr())
	for i := range 8 {
		create(t, s, fmt.Sprintf("after %d", i))
	}
	heard.wait(t, 8)
	waitUntilSent(t, s)
	events := allEvents(t, s)
	if twice := checkPublished(t, events[1:], heard.heard()); twice > 0 {
		t.Errorf("%d of them twice", twice)
	}
	if n := next.Client().XLen(t.Context(), redisevents.StreamKey(environment)).Val(); n != 8 {
		t.Errorf("the stream has %d entries, want the 8 of the new master's time", n)
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

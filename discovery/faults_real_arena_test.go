package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

const (
	faultEnvironment = "faults"
	watcherName      = "watcher" // as which the discovery logs in to Redis
	watcherPassword  = "canary-3f1c-of-the-watcher"
	pillar           = "pillar" // a tenant that is active all the time
	rounds           = 10       // of changes while a fault lasts
	lookEvery        = 5 * time.Millisecond
)

// arena is all that one fault is tried with.
type arena struct {
	t     *testing.T
	s     scale
	fault *fault
	feed  feedUnderTest
	label string // of the goroutines

	redis   *testserver.Redis
	link    *testserver.Proxy // between the discovery and Redis
	front   *testserver.Proxy // between the client and the manager
	manager *tenanttest.Manager
	client  *managerapi.Client
	cfg     discovery.Config
	log     *logBook
	cutOff  atomic.Bool // Redis cannot be reached by the publisher: it need not try for long

	d    *discovery.TenantDiscovery
	told *foldedNews

	live    []string // what is active by the manager, oldest first, without the pillar
	named   int
	resting int // goroutines when all was well
}

func newArena(t *testing.T, s scale, f *fault, feed feedUnderTest) *arena {
	t.Helper()
	users := filepath.Join(t.TempDir(), "users.acl")
	acl := "user default on nopass ~* &* +@all\nuser " + watcherName + " on >" + watcherPassword + " ~* &* +@all\n"
	if err := os.WriteFile(users, []byte(acl), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &arena{t: t, s: s, fault: f, feed: feed, log: &logBook{}}
	a.redis = testserver.StartRedis(t, append([]string{"--aclfile", users}, f.redis...)...)
	a.link = testserver.NewProxy(t, a.redis.Addr())
	a.serveManager()
	a.cfg = discovery.Config{
		ServiceName: service, Environment: faultEnvironment, Logger: slog.New(a.log), NotifyInitial: true,
		RedisConfig: redisevents.Config{
			Host: a.link.Host(), Port: a.link.Port(), Username: watcherName, Password: watcherPassword, SilenceLimit: s.silence,
			NoHeartbeats: true,
		},
		ResyncSpread: s.spread, PollInterval: s.poll,
	}
	a.dialManager(0)
	if f.prepare != nil {
		f.prepare(a)
	}
	a.add(pillar)
	a.add(a.names(s.tenants)...)
	a.enter()
	t.Cleanup(a.leave)
	return a
}

// serveManager has the manager publish on Redis and serves it behind the front.
func (a *arena) serveManager() {
	publisher, err := a.feed.publisher(redisevents.Config{Host: a.redis.Host(), Port: a.redis.Port()})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		if err := publisher.Close(); err != nil {
			a.t.Error(err)
		}
	})
	a.manager = tenanttest.NewManager(tenanttest.WithPublisher(publisher.Publish), tenanttest.WithEnvironment(faultEnvironment))
	api := httptest.NewServer(a.manager)
	a.t.Cleanup(api.Close)
	a.front = testserver.NewProxy(a.t, api.Listener.Addr().String())
}

// dialManager makes the client of the manager.
func (a *arena) dialManager(retries int) {
	client, err := managerapi.NewClient(managerapi.Config{
		BaseURL: "http://" + a.front.Addr(), APIKey: managerapi.StaticKey(a.manager.APIKey()), Retries: retries,
	})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(client.Close)
	a.client, a.cfg.TMClient = client, client
}

// enter starts a new discovery, which need not be live.
func (a *arena) enter() {
	a.t.Helper()
	feed, err := a.feed.feed(a.cfg.RedisConfig, faultEnvironment)
	if err != nil {
		a.t.Fatal(err)
	}
	a.cfg.Feed = feed
	a.d, err = discovery.NewTenantDiscovery(a.cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	a.told = newFoldedNews(a.d)
	if err := a.d.Start(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

// leave closes the discovery.
func (a *arena) leave() {
	if err := a.d.Close(); err != nil {
		a.t.Errorf("close: %v", err)
	}
}

// within is the ctx of some changes: while the publisher is cut off they are not to take longer than a moment.
func (a *arena) within() (context.Context, context.CancelFunc) {
	patience := 20 * time.Second
	if a.cutOff.Load() {
		patience = 100 * time.Millisecond
	}
	return context.WithTimeout(a.t.Context(), patience)
}

// made fails the test unless the change was made; that it could not be announced is not a failure.
func (a *arena) made(err error) {
	a.t.Helper()
	var unannounced *tenanttest.PublishError
	if err != nil && !errors.As(err, &unannounced) {
		a.t.Fatal(err)
	}
}

func (a *arena) add(ids ...string) {
	a.t.Helper()
	ctx, cancel := a.within()
	defer cancel()
	a.made(a.manager.Add(ctx, service, ids...))
	for _, id := range ids {
		if id != pillar {
			a.live = append(a.live, id)
		}
	}
}

func (a *arena) names(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		a.named++
		ids[i] = fmt.Sprintf("tenant-%06d", a.named)
	}
	return ids
}

// change makes one round of changes: some tenants come, as many go, some come and go again, and some go and come again.
func (a *arena) change(come, blink int) {
	a.t.Helper()
	ctx, cancel := a.within()
	defer cancel()
	a.add(a.names(come)...)
	for _, id := range a.live[:come] {
		a.made(a.manager.Suspend(ctx, id))
	}
	a.live = a.live[come:]
	for _, id := range a.live[:blink] {
		a.made(a.manager.Suspend(ctx, id))
		a.made(a.manager.Reactivate(ctx, id))
	}
	short := a.names(blink)
	a.made(a.manager.Add(ctx, service, short...))
	for _, id := range short {
		a.made(a.manager.Delete(ctx, id))
	}
}

// truth is what the set has to be, sorted.
func (a *arena) truth() []string {
	rows := a.manager.Active(service)
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	slices.Sort(ids)
	return ids
}

// difference complains unless the discovery is live and its set is the truth.
func (a *arena) difference(truth []string) string {
	s := a.d.Status()
	if s.State == discovery.Live && s.Tenants == len(truth) {
		if got := a.d.ActiveTenantIDs(); slices.Equal(slices.Sorted(slices.Values(got)), truth) {
			return ""
		}
	}
	return fmt.Sprintf("%d tenants of %d, %v; feed error %v, snapshot error %v", s.Tenants, len(truth), s.State, s.FeedError, s.SnapshotError)
}

// foldedNews is what the callbacks told.
type foldedNews struct {
	mu        sync.Mutex // guards what follows
	active    map[string]bool
	calls     int // Added and Removed
	complaint string
	since     []discovery.Status
}

func newFoldedNews(d *discovery.TenantDiscovery) *foldedNews {
	n := &foldedNews{active: map[string]bool{}}
	d.OnTenantAdded(func(_ context.Context, id string) { n.tell(id, true) })
	d.OnTenantRemoved(func(_ context.Context, id string) { n.tell(id, false) })
	d.OnStatusChange(func(_ context.Context, s discovery.Status) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.since = append(n.since, s)
	})
	return n
}

// tell folds one call, and keeps the first complaint of calls that do not alternate.
func (n *foldedNews) tell(id string, active bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls++
	if n.active[id] == active && n.complaint == "" {
		n.complaint = fmt.Sprintf("told twice in a row that it is %v that %s is active", active, id)
	}
	if active {
		n.active[id] = true
	} else {
		delete(n.active, id)
	}
}

// count returns how many calls there were.
func (n *foldedNews) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls
}

// leftLive is when the state first was something else than live, after a time; zero is never.
func (n *foldedNews) leftLive(after time.Time) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.since {
		if s.State != discovery.Live && s.Since.After(after) {
			return s.Since
		}
	}
	return time.Time{}
}

// states tells which states there were after a time.
func (n *foldedNews) states(after time.Time) (all string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.since {
		if s.Since.After(after) {
			all += fmt.Sprintf(" %v at %v", s.State, s.Since.Sub(after).Round(time.Millisecond))
		}
	}
	return all
}

// difference complains unless folding what was told gives the truth.
func (n *foldedNews) difference(truth []string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.complaint != "" {
		return n.complaint
	}
	if got := len(n.active); got != len(truth) {
		return fmt.Sprintf("what was told comes to %d tenants, want %d", got, len(truth))
	}
	for _, id := range truth {
		if !n.active[id] {
			return "it was not told that " + id + " is active"
		}
	}
	return ""
}

// wantNoSecret looks through the log and the status.
func (a *arena) wantNoSecret() {
	a.t.Helper()
	s := a.d.Status()
	all := append(a.log.find(slog.LevelDebug), fmt.Sprint(s.FeedError, s.SnapshotError))
	for _, secret := range []string{watcherPassword, a.manager.APIKey(), a.manager.Token()} {
		if i := slices.IndexFunc(all, func(line string) bool { return strings.Contains(line, secret) }); i >= 0 {
			a.t.Errorf("a secret is in the log: %s", all[i])
		}
	}
}

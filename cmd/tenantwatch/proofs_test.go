package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// rightWithin is how long two managers may take to be right again, once what they need takes changes again.
const rightWithin = 5 * time.Second

// proof is two managers, each a process of its own, on one PostgreSQL and one Redis.
type proof struct {
	t      *testing.T
	both   []*serving
	api    []*managerapi.Client
	stream redis.Cmdable // where the events are to be found now
	made   atomic.Int64
}

// prove starts the two. settings are those of Redis.
func prove(t *testing.T, dsn string, settings ...string) *proof {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("0f", encryptionKey)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &proof{t: t}
	var token, apiKey string
	for range 2 {
		s := &serving{launched: &launched{t: t}, serve: append([]string{
			"TENANTWATCH_DB=" + dsn, "TENANTWATCH_ENVIRONMENT=staging", "TENANTWATCH_ENCRYPTION_KEY_FILE=" + key,
			"TENANTWATCH_LISTEN=127.0.0.1:0", "TENANTWATCH_ADMIN_LISTEN=127.0.0.1:0",
		}, settings...)}
		if token == "" {
			token = strings.TrimSpace(s.run(s.serve, "token", "create", "--db", dsn))
		}
		s.env = []string{"TENANTWATCH_TOKEN=" + token}
		s.start()
		if apiKey == "" {
			apiKey = strings.TrimSpace(s.command("key", "create", "--service", "ledger"))
		}
		api, err := managerapi.NewClient(managerapi.Config{BaseURL: s.ready.ManagerURL, Retries: -1, BearerToken: managerapi.StaticKey(token), APIKey: managerapi.StaticKey(apiKey)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(api.Close)
		p.both, p.api = append(p.both, s), append(p.api, api)
	}
	return p
}

// change makes a tenant of the service.
func (p *proof) change(ctx context.Context, api *managerapi.Client) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	made, err := api.CreateTenant(ctx, managerapi.CreateTenantRequest{Name: fmt.Sprint("tenant ", p.made.Add(1))})
	if err != nil {
		return "", err
	}
	_, err = api.CreateAssociation(ctx, made.ID, "ledger", managerapi.CreateAssociationRequest{})
	return made.ID, err
}

// load makes changes by both managers until stop; that some fail is the point.
func (p *proof) load() (stop func()) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var changing sync.WaitGroup
	for _, api := range p.api {
		changing.Go(func() {
			for ctx.Err() == nil {
				_, _ = p.change(ctx, api)
				<-time.After(20 * time.Millisecond)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		changing.Wait()
	})
	p.t.Cleanup(stop)
	return stop
}

// right wants a change by each manager to be published, and listed by all of them, and one of them to lead. In full that has
// a bound.
func (p *proof) right(what string) {
	p.t.Helper()
	began := time.Now()
	var ids []string
	for _, api := range p.api {
		until(p.t, func() bool {
			id, err := p.change(p.t.Context(), api)
			if err == nil {
				ids = append(ids, id)
			}
			return err == nil
		}, "%s: no change is made", what)
	}
	until(p.t, func() bool { return p.published(ids) }, "%s: not published: %q", what, ids)
	for _, api := range p.api {
		until(p.t, func() bool { return listed(p.t.Context(), api, ids) }, "%s: not listed: %q", what, ids)
	}
	until(p.t, func() bool { return len(p.leaders()) == 1 }, "%s: they lead: %v", what, p.leaders())
	took := time.Since(began)
	p.t.Logf("%s: published, listed and led after %s", what, took)
	if inFull() && took > rightWithin {
		p.t.Errorf("%s: that took longer than %s", what, rightWithin)
	}
}

// entries are the events of the stream, oldest first.
func (p *proof) entries() ([]tenant.Event, error) {
	p.t.Helper()
	found, err := p.stream.XRange(p.t.Context(), redisevents.StreamKey("staging"), "-", "+").Result()
	if err != nil {
		return nil, err
	}
	events := make([]tenant.Event, 0, len(found))
	for _, entry := range found {
		text, _ := entry.Values["event"].(string)
		event, err := tenant.ParseEvent([]byte(text))
		if err != nil {
			p.t.Fatal(err)
		}
		events = append(events, event)
	}
	return events, nil
}

func (p *proof) published(ids []string) bool {
	entries, err := p.entries()
	if err != nil {
		return false // the next look tells more
	}
	seen := map[string]bool{}
	for _, event := range entries {
		seen[event.TenantID] = seen[event.TenantID] || event.EventType == tenant.EventServiceAssociated
	}
	return !slices.ContainsFunc(ids, func(id string) bool { return !seen[id] })
}

func listed(ctx context.Context, api *managerapi.Client, ids []string) bool {
	all, err := api.GetActiveTenantsByService(ctx, "ledger")
	return err == nil && !slices.ContainsFunc(ids, func(id string) bool {
		return !slices.ContainsFunc(all, func(one *tenant.Summary) bool { return one.ID == id })
	})
}

// leaders are the managers that relay, by number.
func (p *proof) leaders() (all []int) {
	for i, s := range p.both {
		if strings.Contains(get(p.t, s.ready.AdminURL+"/metrics"), "\ntenantwatch_outbox_leading 1\n") {
			all = append(all, i)
		}
	}
	return all
}

// one wants the stream to be what one relay after the other makes. Where nobody takes over, an event is there twice only when a
// manager has logged what kept it from knowing that it was sent.
func (p *proof) one(takeover bool) {
	p.t.Helper()
	entries, err := p.entries()
	if err != nil {
		p.t.Fatal(err)
	}
	ids := make([]string, len(entries))
	for i, event := range entries {
		ids[i] = event.EventID
	}
	warned := slices.ContainsFunc(p.both, func(s *serving) bool { return strings.Contains(s.err.String(), "level=WARN") })
	faults := relayFaults(ids, takeover || warned)
	for _, fault := range faults {
		p.t.Error(fault)
	}
	slices.Sort(ids)
	p.t.Logf("%d entries in the stream, of %d events", len(ids), len(slices.Compact(ids)))
	if len(faults) > 0 || warned {
		for _, s := range p.both {
			p.t.Logf("a manager says\n%s", &s.err)
		}
	}
}

// relayFaults are what no relay after another one leaves in a stream of these ids. A relay that takes over, or does not know what became of
// a batch, sends again what it cannot know to be sent, once; what two of them published at one time would be there twice after the
// first of these.
func relayFaults(ids []string, sentAgain bool) (faults []string) {
	if len(ids) == 0 {
		return []string{"there is nothing in the stream"}
	}
	counted, again := map[string]int{}, map[string]int{}
	for _, id := range ids {
		if counted[id]++; counted[id] > 1 || len(again) > 0 {
			again[id]++
		}
	}
	for id, n := range again {
		if n > 1 || !sentAgain && counted[id] > 1 {
			faults = append(faults, fmt.Sprintf("event %s is there %d times", id, counted[id]))
		}
	}
	return faults
}

// TestX08WhatTheProofsSee: they pass on nothing that they should not.
func TestX08WhatTheProofsSee(t *testing.T) {
	for _, tt := range []struct {
		ids       string
		sentAgain bool
		faults    int
	}{
		{"", false, 1},
		{"", true, 1},
		{"abc", false, 0},
		{"abc", true, 0},
		{"abbc", false, 1},
		{"abbc", true, 0},
		{"abcc", false, 1}, // the last alone
		{"abcabcd", true, 0},
		{"aabbcc", true, 2}, // two at a time
		{"aaa", true, 1},
	} {
		if faults := relayFaults(strings.Split(tt.ids, ""), tt.sentAgain); len(faults) != tt.faults {
			t.Errorf("%q, sent again: %t: %q, want %d faults", tt.ids, tt.sentAgain, faults, tt.faults)
		}
	}
}

func (p *proof) end() {
	for _, s := range p.both {
		s.interrupt()
	}
}

// behindName is the address of a database by another host and port.
func behindName(t *testing.T, addr, dsn string) string {
	t.Helper()
	parsed, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Host = addr
	return parsed.String()
}

// TestX08TwoManagersThroughAFailover: a primary is killed, and its standby promoted behind the same name.
func TestX08TwoManagersThroughAFailover(t *testing.T) {
	t.Parallel()
	primary, server := testserver.StartPostgres(t), testserver.StartRedis(t)
	dsn := primary.Database(t)
	standby := primary.Standby(t)
	name := testserver.NewProxy(t, primary.Addr())
	p := prove(t, behindName(t, name.Addr(), dsn), "TENANTWATCH_REDIS_URL=redis://"+server.Addr())
	p.stream = server.Client()
	stop := p.load()
	p.right("at first")
	primary.Kill()
	name.SetTarget(standby.Addr())
	standby.Promote(t)
	p.right("after the failover")
	stop()
	p.one(true)
	p.end()
}

// TestX09TwoManagersThroughASwap: master and replica change places behind one address, and no connection is closed.
func TestX09TwoManagersThroughASwap(t *testing.T) {
	onlyInFull(t)
	t.Parallel()
	first, second := testserver.StartRedis(t), testserver.StartRedis(t)
	address := testserver.NewProxy(t, first.Addr())
	replicate := func(replica, master *testserver.Redis) {
		replica.Do(t.Context(), "REPLICAOF", master.Host(), master.Port())
		until(t, func() bool {
			role, _ := replica.Do(t.Context(), "ROLE").([]any)
			return len(role) > 3 && role[3] == "connected"
		}, "the replica does not catch up")
	}
	replicate(second, first)
	p := prove(t, testserver.SharedPostgres(t).Database(t), "TENANTWATCH_REDIS_URL=redis://"+address.Addr())
	p.stream = first.Client()
	stop := p.load()
	p.right("at first")
	second.Do(t.Context(), "REPLICAOF", "NO", "ONE")
	address.SetTarget(second.Addr())
	replicate(first, second)
	p.stream = second.Client()
	p.right("after the swap")
	stop()
	p.one(true)
	p.end()
}

// TestX10TwoManagersOnACluster that they know by one address, and not as a Cluster.
func TestX10TwoManagersOnACluster(t *testing.T) {
	onlyInFull(t)
	t.Parallel()
	cluster := testserver.StartCluster(t)
	all := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()})
	defer func() { _ = all.Close() }()
	p := prove(t, testserver.SharedPostgres(t).Database(t), "TENANTWATCH_REDIS_URL=redis://"+cluster.Nodes[0].Addr())
	p.stream = all
	stop := p.load()
	p.right("by one address")
	stop()
	p.one(false)
	p.end()
}

// TestX11TwoManagersWithMutualTLS to Redis.
func TestX11TwoManagersWithMutualTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	ours.issue("redis.internal", ours)
	ours.issue("client", ours)
	server := testserver.StartRedis(t, "--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "yes", "--tls-cert-file",
		ours.file("redis.internal.pem"), "--tls-key-file", ours.file("redis.internal.key"), "--tls-ca-cert-file", ours.file("ca.pem"))
	pair, err := tls.LoadX509KeyPair(ours.file("client.pem"), ours.file("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(ours.cert)
	reader := redis.NewClient(&redis.Options{Addr: server.Addr(), TLSConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: "redis.internal", RootCAs: trusted, Certificates: []tls.Certificate{pair},
	}})
	defer func() { _ = reader.Close() }()
	p := prove(t, testserver.SharedPostgres(t).Database(t), "TENANTWATCH_REDIS_URL=rediss://"+server.Addr(),
		"TENANTWATCH_REDIS_CA_FILE="+ours.file("ca.pem"), "TENANTWATCH_REDIS_SERVER_NAME=redis.internal",
		"TENANTWATCH_REDIS_CERT="+ours.file("client.pem"), "TENANTWATCH_REDIS_KEY="+ours.file("client.key"))
	p.stream = reader
	stop := p.load()
	p.right("by mutual TLS")
	stop()
	p.one(false)
	p.end()
}

// TestX12TwoManagersBehindPgBouncer in session mode. The one that leads is killed, and the other leads.
func TestX12TwoManagersBehindPgBouncer(t *testing.T) {
	t.Parallel()
	shared, server := testserver.SharedPostgres(t), testserver.StartRedis(t)
	pooler := testserver.StartPgBouncer(t, shared, "session")
	p := prove(t, pooler.DSN(t, shared.Database(t)), "TENANTWATCH_REDIS_URL=redis://"+server.Addr())
	p.stream = server.Client()
	stop := p.load()
	p.right("behind the pooler")
	stop()
	leads := p.leaders()[0]
	if err := p.both[leads].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.both[leads].cmd.Wait()
	p.both, p.api = slices.Delete(p.both, leads, leads+1), slices.Delete(p.api, leads, leads+1)
	p.right("after the one that led was killed")
	p.one(true)
	p.end()
}

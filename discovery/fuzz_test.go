package discovery_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	mostSaid      = 48
	mostInput     = 8 << 10
	mostListBytes = 64 << 10
)

// scriptedAnswer makes a step of the script: the next answer of the manager, so many seconds after it is asked.
func scriptedAnswer(seconds byte, head, body string) string {
	return "A" + string([]byte{seconds}) + "HTTP/1.1 " + strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
}

// conversations are the seeds: each kind of what a manager may say, and what may happen around it.
func conversations() [][]string {
	const rows = `[{"id":"t1","status":"active"},{"id":"t2"}]`
	named := func(revision, environment, body string) string {
		return scriptedAnswer(0, "200 OK\nETag: \"v"+revision+"\"\nTenant-Set-Epoch: e1\nTenant-Set-Revision: "+revision+"\nTenant-Set-Environment: "+environment, body)
	}
	whole, late := named("4", "test", rows), scriptedAnswer(3, "200 OK", rows)
	return [][]string{
		{whole, "S", "p", "Ea1", "Er2", "P\x05", named("6", "test", `[{"id":"t1"}]`), "G", "P\x05"},
		{whole, "S", "P\x01", "K", scriptedAnswer(0, "304 Not Modified", ""), "G", "P\x05", scriptedAnswer(0, "304 Not Modified\nTenant-Set-Environment: other", ""), "G", "P\x05"},
		{whole, "S", "p", named("9", "other", `[{"id":"t3"}]`), "G", "P\x20", named("9", " TEST", `[{"id":"t3"}]`), "P\x20"},
		{named("4", "other", rows), "S"},
		{late, "S", "p", "Ea3", "Er1", "P\x05", late, "G", "P\x02", "Fa5", "Er2", "P\x05"},
		{whole, "S", "p", "Ha3", named("2", "test", rows), "R", named("3", "test", rows), "P\x1e", "P\x1e"},
		{whole, "S", scriptedAnswer(0, "200 OK", `[{"id":7},{"id":"urn:7"}]`), "G", "P\x02", scriptedAnswer(0, "200 OK", `[{"id":7},{"id":"t5"},null,{"id":"t6","status":"suspended"}]`), "P\x20"},
		{whole, "S", scriptedAnswer(0, "200 OK\nContent-Length: 400", rows), "G", "P\x20", scriptedAnswer(0, "200 OK\nTransfer-Encoding: chunked", "5\r\n[{\"i"), "P\x20"},
		{whole, "S", scriptedAnswer(0, "200 OK", "<html>"), "G", "P\x02", scriptedAnswer(0, "200 OK", rows+"[]"), "P\x20", scriptedAnswer(0, "200 OK", "null"), "P\x20", scriptedAnswer(0, "204 No Content", ""), "P\x20"},
		{whole, "S", scriptedAnswer(0, "200 OK\nContent-Encoding: gzip", rows), "G", "P\x20", scriptedAnswer(0, "200 OK\nContent-Encoding: br", rows), "P\x20"},
		{whole, "S", scriptedAnswer(0, "503 Down\nRetry-After: 600", ""), "G", "P\xf0", scriptedAnswer(0, "429 Slow\nRetry-After: 7", "{}"), "P\xf0"},
		{whole, "S", scriptedAnswer(0, "401 Unauthorized", ""), "G", "P\x20", scriptedAnswer(0, "302 Found\nLocation: http://x/", ""), "P\x20", "Anot HTTP", "P\x20"},
		{whole, "S", scriptedAnswer(0, "412 Precondition Failed", ""), scriptedAnswer(0, "200 OK", rows), "G", "P\x05", scriptedAnswer(200, "200 OK", rows), "G", "P\xf0"},
		{whole, "S", "p", "L", "P\x20", scriptedAnswer(0, "200 OK\nTenant-Set-Epoch: e2\nTenant-Set-Revision: 1", rows), "S", "P\x05", "B", "X", "Oa4", "P\x05"},
		{scriptedAnswer(0, "200 OK", string(listOf(12, 0, ""))), "S", "p", scriptedAnswer(0, "200 OK", "[]"), "G", "P\x02", "Ea3", "P\x20", scriptedAnswer(0, "200 OK", "[]"), "P\x20"},
		{scriptedAnswer(200, "200 OK", rows)},
		{whole, "S", "p", late, "G", "P\x02", "G", "P\x02", "P\x02"},
		{whole, "S", "p", late, "G", "P\x02", "Er2", "Ea6", "P\x02", "P\x02"},
	}
}

// FuzzManagerConversation has a manager that says anything: each step of the script is an answer, a signal of the feed, a call
// or time that passes. Whatever they are, the set is what the last list that counts says, with what events said since; it is
// never Live by a list that is another environment's, that nobody can read, or that was refused, nor while something may have
// been missed since the list was asked for. Once the manager is well again, the discovery is.
func FuzzManagerConversation(f *testing.F) {
	for _, steps := range conversations() {
		for mode := range byte(4) {
			f.Add(mode, strings.Join(steps, "\xff\xff"))
		}
	}
	f.Fuzz(func(t *testing.T, mode byte, script string) {
		if len(script) <= mostInput {
			bubble(t, func(t *testing.T) { newConversation(t, mode).run(script) })
		}
	})
}

// conversation is one run of a script.
type conversation struct {
	*fuzzedManager

	t    *testing.T
	d    *discovery.TenantDiscovery
	feed *spokenFeed
	beat bool // heartbeats are expected
}

func newConversation(t *testing.T, mode byte) *conversation {
	t.Helper()
	c := &conversation{t: t, feed: &spokenFeed{signals: make(chan tenant.Signal)}, beat: mode&2 != 0}
	c.fuzzedManager = newFuzzedManager(t)
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: "http://" + managerHost, Transport: c, Retries: -1, ListLimit: mostListBytes, BodyLimit: mostListBytes})
	if err != nil {
		t.Fatal(err)
	}
	c.Client = client
	cfg := discovery.Config{ServiceName: service, TMClient: c.fuzzedManager, Feed: c.feed, Logger: slog.New(slog.DiscardHandler)}
	if mode&1 != 0 {
		cfg.Environment, c.environment = "test", "test"
	}
	if c.d, err = discovery.NewTenantDiscovery(cfg); err != nil {
		t.Fatal(err)
	}
	c.d.Load(1) // so that an input goes one way, as far as that can be
	c.status = c.d.Status
	return c
}

// run plays the script, ends all faults, and closes.
func (c *conversation) run(script string) {
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- c.d.Start(c.t.Context()) }()
	steps := strings.Split(script, "\xff\xff")
	for _, step := range steps[:min(len(steps), mostSaid)] {
		settle()
		c.check()
		c.step(step)
	}
	if c.d.Status().State == discovery.Starting {
		pass(discovery.DefaultFeedTimeout + discovery.DefaultBootstrapTimeout + time.Second - min(time.Since(began), 30*time.Second))
	}
	settle()
	c.check()
	select {
	case err := <-ended:
		if err == nil {
			c.heal()
		} else if c.d.Len() != 0 || c.d.Status().State != discovery.Starting {
			c.t.Errorf("Start failed with %v, and left %+v", err, c.d.Status())
		}
	default:
		c.t.Error("Start has not returned")
	}
	if most := int(time.Since(began)/discovery.DefaultResyncSpread) + 2 + 2*c.refreshes; c.fetches > most {
		c.t.Errorf("asked %d times in %v", c.fetches, time.Since(began))
	}
	if err := c.d.Close(); err != nil || c.d.Status().State != discovery.Closed {
		c.t.Errorf("closed with %v, and is %v", err, c.d.Status().State)
	}
}

// step does one step of the script.
func (c *conversation) step(step string) {
	if step == "" {
		return
	}
	rest := step[1:]
	switch step[0] {
	case 'A':
		c.script(rest)
	case 'P':
		pass(time.Duration(first(rest, 1)) * time.Second)
	case 'p':
		pass(time.Duration(first(rest, 1)) * 10 * time.Millisecond)
	case 'S':
		c.gap()
		c.say(tenant.Signal{Kind: tenant.SignalSubscribed, Heartbeats: c.beat})
	case 'L':
		c.say(tenant.Signal{Kind: tenant.SignalLost, Err: errors.New("lost")})
	case 'G':
		c.gap()
		c.say(tenant.Signal{Kind: tenant.SignalGap})
	case 'B':
		c.gap()
		c.say(tenant.Signal{Kind: tenant.SignalBadEvent, Err: errors.New("bad")})
	case 'K':
		c.say(tenant.Signal{Kind: tenant.SignalHeartbeat, Version: c.newest()})
	case 'X':
		c.lose()
	case 'E', 'F', 'H', 'O':
		c.happen(step[0], rest)
	case 'R':
		c.refreshes++
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
		_ = c.d.Refresh(ctx) // the set is what counts
		cancel()
	}
}

// happen has an event: of the list's epoch, of a foreign one, by HandleEvent, or of others, which counts for nothing.
func (c *conversation) happen(kind byte, rest string) {
	if kind == 'H' && c.d.Status().State == discovery.Starting {
		return
	}
	evt := event(tenant.EventServiceSuspended, "t"+string('0'+(first(rest[min(len(rest), 1):], '1')-'0')%10))
	active := first(rest, 'a')%2 == 'a'%2
	if active {
		evt.EventType = tenant.EventServiceAssociated
	}
	epoch := c.eventEpoch()
	if kind == 'F' {
		epoch = "foreign"
	}
	if kind == 'O' {
		evt.Payload = []byte(`{"service_name":"other"}`)
	} else if evt.Epoch, evt.Revision = c.next(epoch); true {
		c.hear(evt, active)
	}
	if kind != 'H' {
		c.say(tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
		return
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	if err := c.d.HandleEvent(ctx, evt); err != nil {
		c.t.Errorf("HandleEvent: %v", err)
	}
}

// first is the first byte, or another one where there is none.
func first(text string, otherwise byte) byte {
	if text == "" {
		return otherwise
	}
	return text[0]
}

func (c *conversation) say(sig tenant.Signal) {
	select {
	case c.feed.signals <- sig:
	case <-time.After(time.Second): // Start has failed, and nobody listens
	}
	settle()
}

// heal has a manager that is well and a new subscription: by the longest Retry-After all has to be well.
func (c *conversation) heal() {
	c.well = true
	c.gap()
	c.say(tenant.Signal{Kind: tenant.SignalSubscribed})
	for range 20 {
		pass(30 * time.Second)
		c.check()
	}
	status := c.d.Status()
	if marks, ahead := c.d.Remembered(); status.State != discovery.Live || status.Tenants != 1 || marks+ahead > 0 {
		c.t.Errorf("all is well, and it is %+v, with %d tenants and %d revisions remembered", status, marks, ahead)
	}
}

// check holds what has to be true at any time.
func (c *conversation) check() {
	c.t.Helper()
	c.judge()
	status := c.d.Status()
	if problem := c.wrong(c.d.ActiveTenantIDs(), status); problem != "" {
		c.t.Fatalf("%s\n%+v", problem, status)
	}
	if err := status.SnapshotError; err != nil && len(err.Error()) > 4<<10 {
		c.t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

// spokenFeed says what the test says.
type spokenFeed struct{ signals chan tenant.Signal }

// Run does.
func (f *spokenFeed) Run(ctx context.Context, sink func(tenant.Signal)) error {
	for {
		select {
		case sig := <-f.signals:
			sink(sig)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

package activeset

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// changesCore is a core at revision 10 of an epoch, with a and b, whose clock the test moves.
type changesCore struct {
	*Core

	t   *testing.T
	now time.Time
	sum Digests
}

func newChangesCore(t *testing.T) *changesCore {
	t.Helper()
	c := &changesCore{t: t, now: time.Unix(1_700_000_000, 0), Core: New(Config{
		Service: "ledger", ResyncInterval: time.Hour, PollInterval: time.Minute, Many: 100, Slack: 100, Changes: true, Guard: Guard{Fraction: 1},
		Dice: func(d time.Duration) time.Duration { return d / 2 },
	})}
	c.Begin()
	c.Apply(c.now, []Judged{{signal: &tenant.Signal{Kind: tenant.SignalSubscribed}}})
	c.list(10, "a", "b")
	return c
}

// ask asks; changes says what for.
func (c *changesCore) ask(changes bool) Request {
	c.t.Helper()
	req := c.Ask(c.now)
	if got := req.Since.Epoch != ""; got != changes {
		c.t.Fatalf("changes are asked for: %v, want %v", got, changes)
	}
	return req
}

// list asks for a list, and answers.
func (c *changesCore) list(revision uint64, ids ...string) {
	c.t.Helper()
	c.answerList(c.ask(false), revision, ids...)
}

func (c *changesCore) answerList(req Request, revision uint64, ids ...string) {
	c.t.Helper()
	ans := Answer{Snapshot: tenant.Snapshot{Version: tenant.Version{Epoch: "e", Revision: revision}, ETag: fmt.Sprint("at", revision)}}
	for _, id := range ids {
		ans.Rows.Add(tenant.Row{ID: []byte(id)})
	}
	if err := c.take(req, ans); err != nil {
		c.t.Fatal(err)
	}
}

func (c *changesCore) take(req Request, ans Answer) error {
	c.cfg.Prepare(&ans, c.Set(), &c.sum)
	return c.Answer(c.now, req, ans)
}

// changed answers with the events, and that they lead to the tenants.
func (c *changesCore) changed(req Request, revision uint64, events []tenant.Event, ids ...string) error {
	ch := req.Changes()
	for _, evt := range events {
		ch.Add(Judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: evt}, "ledger", ""))
	}
	to := tenant.Changes{Version: tenant.Version{Epoch: "e", Revision: revision}, Count: len(ids)}
	for _, id := range ids {
		to.Digest ^= tenant.IDDigest(id)
	}
	ch.End(to)
	return c.take(req, Answer{Changes: ch})
}

func event(revision uint64, kind tenant.EventType, id string) tenant.Event {
	return tenant.Event{
		EventID: fmt.Sprint("id", revision), EventType: kind, TenantID: id, Payload: []byte(`{"service_name":"ledger"}`), Epoch: "e", Revision: revision,
	}
}

// news is what is told since it was asked last.
func (c *changesCore) news() (all []string) {
	for _, n := range c.Next(c.now).News {
		all = append(all, fmt.Sprintf("%s %s %s %s", n.Change.Kind, n.Change.TenantID, n.Change.Cause, n.Change.EventType))
	}
	slices.Sort(all)
	return all
}

// warned reports whether it has warned since it was asked last.
func (c *changesCore) warned() (texts []string) {
	for _, line := range c.Next(c.now).Lines {
		if line.Level == Warn {
			texts = append(texts, line.Text)
		}
	}
	return texts
}

// TestChangesTellWhatWasMissed: who came and who went, and also who was reconfigured, but not a second time.
func TestChangesTellWhatWasMissed(t *testing.T) {
	c := newChangesCore(t)
	c.news()
	heard := event(12, tenant.EventCredentialsRotated, "b")
	c.Apply(c.now, []Judged{Judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: heard}, "ledger", "")})
	if got := c.news(); !slices.Equal(got, []string{"reconfigured b event tenant.credentials.rotated"}) {
		t.Fatal(got)
	}
	missed := []tenant.Event{
		event(11, tenant.EventSuspended, "a"), heard, event(13, tenant.EventServiceAssociated, "c"), event(14, tenant.EventCacheInvalidate, "b"),
		event(15, tenant.EventConnectionsUpdated, "a"), event(16, tenant.EventActivated, "a"),
	}
	if err := c.changed(c.ask(true), 17, missed, "b", "c"); err != nil {
		t.Fatal(err)
	}
	want := []string{"added c reconcile ", "reconfigured b reconcile tenant.cache.invalidate", "removed a reconcile "}
	if got := c.news(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	c.Apply(c.now, []Judged{Judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: missed[3]}, "ledger", "")}) // late after all
	if got := c.news(); got != nil {
		t.Errorf("told again: %q", got)
	}
	if s := c.Next(c.now).Status; s.State != Live || s.Version.Revision != 17 || s.Counters.ReconcilesByChanges != 1 || idsOf(c.set) != "b c" {
		t.Errorf("%v at %v with %q: %+v", s.State, s.Version, idsOf(c.set), s.Counters)
	}
}

// TestChangesThatDoNotLeadToTheList: nothing is taken, somebody is told, and the list is read at once, by itself.
func TestChangesThatDoNotLeadToTheList(t *testing.T) {
	c := newChangesCore(t)
	c.warned()
	if err := c.changed(c.ask(true), 11, []tenant.Event{event(11, tenant.EventSuspended, "a")}, "x"); err != ErrAskWhole { //nolint:errorlint // it is this one
		t.Fatal(err)
	}
	next := c.Next(c.now)
	if idsOf(c.set) != "a b" || !next.Due.IsZero() || next.Status.State != Syncing {
		t.Errorf("%q, due %v, %v", idsOf(c.set), next.Due, next.Status.State)
	}
	if len(next.Lines) == 0 || next.Lines[0].Level != Warn {
		t.Errorf("nobody is told: %v", next.Lines)
	}
	c.list(11, "b")
	if s := c.Next(c.now).Status; s.State != Live || idsOf(c.set) != "b" {
		t.Errorf("%v with %q", s.State, idsOf(c.set))
	}
	c.ask(true)
}

// TestWithoutChanges: a manager that has them no more is asked for the list once, one that cannot send any for the rest of the epoch. Of
// neither anybody need hear, and the state stays what it is.
func TestWithoutChanges(t *testing.T) {
	for why, after := range map[Refusal]bool{ChangesGone: true, NoChanges: false} {
		c := newChangesCore(t)
		c.Next(c.now)
		if err := c.take(c.ask(true), Answer{Refused: why}); err != ErrAskWhole { //nolint:errorlint // it is this one
			t.Fatal(err)
		}
		if next := c.Next(c.now); !next.Due.IsZero() || next.Status.State != Live || len(next.Lines) > 0 {
			t.Errorf("due %v, %v, %v", next.Due, next.Status.State, next.Lines)
		}
		c.list(10, "a", "b")
		c.answerList(c.ask(after), 10, "a", "b")
		ans := Answer{Snapshot: tenant.Snapshot{Version: tenant.Version{Epoch: "new", Revision: 1}}}
		if err := c.take(c.ask(after), ans); err != nil {
			t.Fatal(err)
		}
		c.ask(true) // of another epoch nothing is known
	}
}

// TestTheListIsReadAtLeastEveryTenthTime, whatever the changes say.
func TestTheListIsReadAtLeastEveryTenthTime(t *testing.T) {
	c := newChangesCore(t)
	listed := c.now
	for range 100 {
		c.now = c.now.Add(c.cfg.ResyncInterval * 6 / 5) // the longest that it waits
		req := c.Ask(c.now)
		if c.now.Sub(listed) > 10*c.cfg.ResyncInterval {
			t.Fatalf("the last list is %v old", c.now.Sub(listed))
		}
		if req.Since.Epoch == "" {
			listed = c.now
			c.answerList(req, 10, "a", "b")
		} else if err := c.changed(req, 10, nil, "a", "b"); err != nil {
			t.Fatal(err)
		}
	}
	if by, all := c.status.Counters.ReconcilesByChanges, c.status.Counters.Reconciles; by < 80 || all != 100 {
		t.Errorf("%d of %d by changes", by, all)
	}
}

// TestChangesThatChangeNothingKeepTheETag, so that the list, when it is asked for, need not be sent.
func TestChangesThatChangeNothingKeepTheETag(t *testing.T) {
	c := newChangesCore(t)
	if err := c.changed(c.ask(true), 12, []tenant.Event{event(11, tenant.EventUpdated, "a"), event(12, tenant.EventCreated, "z")}, "a", "b"); err != nil {
		t.Fatal(err)
	}
	if req := c.Ask(c.now); req.Have.ETag != "at10" || req.Have.Version.Revision != 12 {
		t.Errorf("it has %+v", req.Have)
	}
	if err := c.changed(c.Ask(c.now), 13, []tenant.Event{event(13, tenant.EventDeleted, "a")}, "b"); err != nil {
		t.Fatal(err)
	}
	if req := c.Ask(c.now); req.Have.ETag != "" {
		t.Errorf("it has %+v", req.Have)
	}
}

// TestGapsThatChangesClose: those in which events were missed that are newer than all that is known. Of the others the list tells more.
func TestGapsThatChangesClose(t *testing.T) {
	for _, tc := range []struct {
		gap     string
		signals []tenant.Signal
		changes bool
	}{
		{"a subscription", []tenant.Signal{{Kind: tenant.SignalSubscribed}}, true},
		{"the feed has missed some", []tenant.Signal{{Kind: tenant.SignalGap}}, true},
		{"an event that cannot be read", []tenant.Signal{{Kind: tenant.SignalEvent, Event: tenant.Event{EventType: tenant.EventSuspended}}}, true},
		{"a heartbeat that is ahead", []tenant.Signal{{Kind: tenant.SignalHeartbeat, Version: tenant.Version{Epoch: "e", Revision: 20}}}, true},
		{"a type that is not known", []tenant.Signal{{Kind: tenant.SignalEvent, Event: event(11, "tenant.archived", "a")}}, false},
		{"another epoch", []tenant.Signal{{Kind: tenant.SignalEvent, Event: tenant.Event{EventType: tenant.EventSuspended, TenantID: "a", Epoch: "f", Revision: 3}}}, false},
		{"one that is late", []tenant.Signal{
			{Kind: tenant.SignalEvent, Event: event(12, tenant.EventActivated, "a")}, {Kind: tenant.SignalEvent, Event: event(11, tenant.EventSuspended, "a")},
		}, false},
	} {
		t.Run(tc.gap, func(t *testing.T) {
			c := newChangesCore(t)
			for _, sig := range tc.signals {
				c.Apply(c.now, []Judged{Judge(&sig, "ledger", "")})
			}
			if state := c.Next(c.now).Status.State; state != Syncing {
				t.Fatalf("it is %v", state)
			}
			c.ask(tc.changes)
		})
	}
}

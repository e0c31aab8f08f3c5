package discovery_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// desk is a discovery's decisions by hand, subscribed and bootstrapped with the list of a and b, at the version.
type desk struct {
	*discovery.Core

	now time.Time
}

func newDesk(v tenant.Version) *desk {
	d := &desk{discovery.NewCore(discovery.Config{ServiceName: service}, 0, 0), time.Unix(1_700_000_000, 0)}
	d.hear(tenant.Signal{Kind: tenant.SignalSubscribed})
	d.answer(d.ask(), v, "a", "b")
	return d
}

func version(epoch string, revision uint64) tenant.Version {
	return tenant.Version{Epoch: epoch, Revision: revision}
}

func (d *desk) hear(sig tenant.Signal) { d.Apply(d.now, sig) }

func (d *desk) event(kind tenant.EventType, id string, v tenant.Version, at time.Time) {
	evt := tenant.Event{EventType: kind, TenantID: id, Payload: forUs, Epoch: v.Epoch, Revision: v.Revision, Timestamp: at}
	d.hear(tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
}

func (d *desk) ask() activeset.Request { return d.Ask(d.now) }

func (d *desk) answer(req activeset.Request, v tenant.Version, ids ...string) {
	rows := make([]tenant.Summary, len(ids))
	for i, id := range ids {
		rows[i].ID = id
	}
	d.Answer(d.now, req, rows, tenant.Snapshot{Version: v}, nil)
}

func (d *desk) want(t *testing.T, state discovery.State, ids ...string) {
	t.Helper()
	if got := slices.Sorted(d.All()); !slices.Equal(got, ids) || d.Status().State != state {
		t.Errorf("%v, the set is %v; want %v, %v", d.Status().State, got, state, ids)
	}
}

// TestD07ALeftEpochIsNotTakenAgain: of two replicas one still answers with what was before the restore. What it says is
// old, not new; but if it goes on to be all that is said, it is right.
func TestD07ALeftEpochIsNotTakenAgain(t *testing.T) {
	d := newDesk(version("before", 10))
	d.answer(d.ask(), version("after", 1), "b")
	d.want(t, discovery.Live, "b")
	for range 10 {
		d.hear(tenant.Signal{Kind: tenant.SignalGap})
		d.answer(d.ask(), version("before", 10), "a", "b")
		d.want(t, discovery.Syncing, "b")
	}
	d.answer(d.ask(), version("after", 1), "b")
	d.want(t, discovery.Live, "b")

	d.answer(d.ask(), version("before", 10), "a", "b")
	d.now = d.now.Add(discovery.DefaultResyncInterval)
	d.answer(d.ask(), version("before", 10), "a", "b")
	d.want(t, discovery.Live, "a", "b")
	d.answer(d.ask(), version("after", 1), "b") // which was left now
	d.want(t, discovery.Live, "a", "b")
}

// TestForgedRevisionHidesNoEvent: while a revision is believed that the manager has not reached, its tenant's events seem
// old. One that comes during the request after which it is not believed any more must not be lost.
func TestForgedRevisionHidesNoEvent(t *testing.T) {
	d := newDesk(version("e", 10))
	d.event(tenant.EventSuspended, "a", version("e", 1_000_000), time.Time{})
	d.now = d.now.Add(holePatience)
	d.Look(d.now)
	for range 4 {
		d.answer(d.ask(), version("e", 10), "a", "b")
		d.want(t, discovery.Syncing, "b")
	}
	req := d.ask() // read at revision 10
	d.event(tenant.EventSuspended, "a", version("e", 11), time.Time{})
	d.answer(req, version("e", 10), "a", "b")
	d.want(t, discovery.Syncing, "a", "b")
	d.answer(d.ask(), version("e", 11), "b")
	d.want(t, discovery.Live, "b")
}

// TestHeartbeatAheadOfTheList: what a heartbeat has told is not closed by a list that is older than it, as of a replica
// that lags behind, even if that was asked for afterwards. One that is forged costs a second list and no more.
func TestHeartbeatAheadOfTheList(t *testing.T) {
	beat := tenant.Signal{Kind: tenant.SignalHeartbeat, Version: version("e", 11)}
	d := newDesk(version("e", 10))
	d.hear(beat)
	d.answer(d.ask(), version("e", 10), "a", "b")
	d.want(t, discovery.Syncing, "a", "b")
	d.answer(d.ask(), version("e", 11), "b")
	d.want(t, discovery.Live, "b")

	forged := newDesk(version("e", 10))
	req := forged.ask()
	forged.hear(beat)
	forged.answer(req, version("e", 10), "a", "b") // asked for before
	forged.answer(forged.ask(), version("e", 10), "a", "b")
	forged.want(t, discovery.Syncing, "a", "b")
	forged.answer(forged.ask(), version("e", 10), "a", "b")
	forged.want(t, discovery.Live, "a", "b")
}

// TestActivatedOvertakesSuspendedWithPlainLists: events may have versions where the TMClient gives none. Then what came by
// tenant.activated has to be remembered by its date, as without any versions.
func TestActivatedOvertakesSuspendedWithPlainLists(t *testing.T) {
	d := newDesk(tenant.Version{})
	d.event(tenant.EventActivated, "a", version("e", 6), d.now)
	d.event(tenant.EventSuspended, "a", version("e", 5), d.now.Add(-time.Second))
	d.want(t, discovery.Syncing, "a", "b")
	d.answer(d.ask(), tenant.Version{}, "a", "b")
	d.want(t, discovery.Live, "a", "b")
}

// TestUndatedEventKeepsTheDate of the one before: what is older than that is late all the same.
func TestUndatedEventKeepsTheDate(t *testing.T) {
	d := newDesk(tenant.Version{})
	d.event(tenant.EventServiceReactivated, "a", tenant.Version{}, d.now)
	d.event(tenant.EventServiceReactivated, "a", tenant.Version{}, time.Time{})
	d.event(tenant.EventSuspended, "a", tenant.Version{}, d.now.Add(-time.Hour))
	d.want(t, discovery.Syncing, "a", "b")
}

// TestForeignEventLeavesTheMark: a tenant that was suspended while the list was on its way must not come back because an
// event of another epoch, as of another environment, spoke of it too.
func TestForeignEventLeavesTheMark(t *testing.T) {
	d := newDesk(version("e", 10))
	req := d.ask() // read at revision 10
	d.event(tenant.EventSuspended, "a", version("e", 11), time.Time{})
	d.event(tenant.EventServiceReactivated, "a", version("other", 7), time.Time{})
	d.answer(req, version("e", 10), "a", "b")
	d.want(t, discovery.Syncing, "b")
}

package discovery

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// nobody is a TMClient and a Feed that do nothing.
type nobody struct{}

func (*nobody) GetActiveTenantsByService(context.Context, string) ([]*tenant.Summary, error) {
	return nil, nil
}

func (*nobody) FetchSnapshot(context.Context, tenant.SnapshotRequest) (tenant.Snapshot, error) {
	return tenant.Snapshot{}, nil
}

func (*nobody) FetchChanges(context.Context, tenant.ChangesRequest) (tenant.Changes, error) {
	return tenant.Changes{}, nil
}

func (*nobody) Run(ctx context.Context, _ func(tenant.Signal)) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestNoMailBeforeTheSetIsPublished: a reader that is at its mailbox already waits for no bell, so that nothing may be in
// it while readers still see the set of before.
func TestNoMailBeforeTheSetIsPublished(t *testing.T) {
	d, err := NewTenantDiscovery(Config{ServiceName: "ledger", TMClient: &nobody{}, Feed: &nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	d.OnTenantAdded(func(context.Context, string) {}) // else nothing is kept for callbacks
	d.core.Begin()
	d.update(func(now time.Time) {
		if err := d.core.Answer(now, d.core.Ask(now), activeset.Answer{}); err != nil {
			t.Error(err)
		}
	})
	box := d.watch()
	d.box.take() // the state has changed
	added := d.judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: tenant.Event{
		EventType: tenant.EventServiceAssociated, TenantID: "acme", Payload: json.RawMessage(`{"service_name":"ledger"}`),
	}})
	d.update(func(now time.Time) {
		d.core.Apply(now, []activeset.Judged{added})
		if d.IsActive("acme") {
			t.Error("published before the batch is through")
		}
		if box.take() != nil || d.box.take() != nil {
			t.Error("mail is there, and the set is not")
		}
	})
	if !d.IsActive("acme") || box.take() == nil || d.box.take() == nil {
		t.Error("afterwards something is missing")
	}
}

// TestSignalsOfAFailedStartAreDropped: they may come late, when the next start is under way.
func TestSignalsOfAFailedStartAreDropped(t *testing.T) {
	d, err := NewTenantDiscovery(Config{ServiceName: "ledger", TMClient: &nobody{}, Feed: &nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	before := newRun(func() {}, func() error { return nil })
	now := newRun(func() {}, func() error { return nil })
	if err := d.begin(now); err != nil {
		t.Fatal(err)
	}
	confirmed := []tenant.Signal{{Kind: tenant.SignalSubscribed}}
	if d.applyBatch(confirmed, nil, before); d.Status().FeedConnected {
		t.Error("the run before has confirmed the feed of this one")
	}
	if d.applyBatch(confirmed, nil, now); !d.Status().FeedConnected {
		t.Error("the feed is confirmed, and not connected")
	}
}

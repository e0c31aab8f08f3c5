package discovery

import (
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestInboxIsBounded: what is too much is counted, but the news that the link was made or lost is always taken.
func TestInboxIsBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		sig  tenant.Signal
		most int
	}{
		"by number": {tenant.Signal{Kind: tenant.SignalGap}, inboxSignals},
		"by slugs":  {tenant.Signal{Kind: tenant.SignalEvent, Event: tenant.Event{TenantSlug: strings.Repeat("x", 1<<20-signalOverhead)}}, inboxBytes >> 20},
		"by bytes":  {tenant.Signal{Kind: tenant.SignalEvent, Event: tenant.Event{Payload: make([]byte, 1<<20-signalOverhead)}}, inboxBytes >> 20},
	} {
		t.Run(name, func(t *testing.T) {
			box := newInbox()
			for range tc.most + 10 {
				box.put(&tc.sig)
			}
			box.put(&tenant.Signal{Kind: tenant.SignalLost})
			box.put(&tenant.Signal{Kind: tenant.SignalSubscribed})
			batches, dropped := box.drain()
			signals := slices.Concat(batches...)
			if len(signals) != tc.most+2 || dropped != 10 || signals[tc.most+1].Kind != tenant.SignalSubscribed {
				t.Errorf("%d signals, %d dropped", len(signals), dropped)
			}
			for _, batch := range batches[:len(batches)-1] {
				if len(batch) != applyAtOnce {
					t.Errorf("a batch of %d that others follow", len(batch))
				}
			}
			box.put(&tc.sig)
			if more, dropped := box.drain(); len(more) != 0 || dropped != 1 {
				t.Error("drained and not applied, and more was taken, or something is left")
			}
			box.applied(batches)
			box.put(&tc.sig)
			if again, _ := box.drain(); len(again) != 1 || len(again[0]) != 1 || again[0][0].Kind != tc.sig.Kind {
				t.Error("there is room again, and nothing is taken")
			}
		})
	}
}

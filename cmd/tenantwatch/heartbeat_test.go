package main

import (
	"context"
	"io"
	"testing"

	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestDevSendsHeartbeats: the version in them is never ahead of the events, and in the end it is the manager's.
func TestDevSendsHeartbeats(t *testing.T) {
	t.Parallel()
	const first = 3
	c := devCommand{Service: "ledger", Environment: "dev", Listen: "127.0.0.1:0"}
	std := streams{out: &printer{w: io.Discard}, err: &printer{w: io.Discard}}
	s, err := c.open(t.Context(), std)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	feed, err := redisevents.NewPubSub(s.redis, "dev")
	if err != nil {
		t.Fatal(err)
	}
	err = s.serving(t.Context(), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		var known, beats uint64
		heard := context.Canceled
		err := feed.Run(ctx, func(signal tenant.Signal) {
			switch signal.Kind {
			case tenant.SignalSubscribed:
				if err := s.populate(ctx, first); err != nil {
					t.Error(err)
				}
			case tenant.SignalEvent:
				known = signal.Event.Revision
			case tenant.SignalHeartbeat:
				beats++
				if signal.Version.Revision > known {
					t.Errorf("the heartbeat says %d, the last event %d", signal.Version.Revision, known)
				}
				if signal.Version.Revision == 2*first {
					heard = nil
					cancel()
				}
			default:
			}
		})
		if heard != nil {
			t.Errorf("%d heartbeats, none of the last event: %v", beats, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

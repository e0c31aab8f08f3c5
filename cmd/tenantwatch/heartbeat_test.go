package main

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestDevSendsHeartbeats: the version in them is never ahead of the events, and in the end it is the manager's.
func TestDevSendsHeartbeats(t *testing.T) {
	c := devCommand{Tenants: 3, Service: "ledger", Environment: "dev", Listen: "127.0.0.1:0"}
	s, err := c.open(t.Context(), streams{out: &printer{w: io.Discard}, err: &printer{w: io.Discard}})
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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	known := s.manager.Version().Revision
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel()
	var reached bool
	err = feed.Run(ctx, func(signal tenant.Signal) {
		switch signal.Kind {
		case tenant.SignalSubscribed:
			beating.Go(func() {
				for n := 100; ctx.Err() == nil; n++ {
					if err := s.manager.Add(ctx, "ledger", tenantID(n)); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
			beating.Go(func() {
				for ctx.Err() == nil {
					s.heartbeat(ctx)
				}
			})
		case tenant.SignalEvent:
			known = signal.Event.Revision
		case tenant.SignalHeartbeat:
			if signal.Version.Revision > known {
				t.Errorf("the heartbeat says %d, the last event %d", signal.Version.Revision, known)
			}
			if reached = signal.Version.Revision > 100; reached {
				cancel()
			}
		default:
		}
	})
	if !reached {
		t.Error(err)
	}
}

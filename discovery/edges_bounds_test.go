package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestX25ABlockedLogger lets what waits grow to what the inbox may have and no further, whatever the feed delivers meanwhile.
func TestX25ABlockedLogger(t *testing.T) {
	const mib = 1 << 20
	large := func(i int) string { return strings.Repeat("x", mib) + fmt.Sprint(i) }
	for name, signal := range map[string]func(i int) tenant.Signal{
		"payloads": func(i int) tenant.Signal {
			return tenant.Signal{Kind: tenant.SignalEvent, Event: tenant.Event{EventType: tenant.EventUpdated, TenantID: "acme", Payload: []byte(large(i))}}
		},
		"names": func(i int) tenant.Signal {
			return tenant.Signal{Kind: tenant.SignalEvent, Event: tenant.Event{EventType: tenant.EventUpdated, TenantID: "acme", EventID: large(i), Epoch: large(i)}}
		},
		"versions": func(i int) tenant.Signal {
			return tenant.Signal{Kind: tenant.SignalHeartbeat, Version: tenant.Version{Epoch: large(i)}}
		},
		"bad events": func(i int) tenant.Signal {
			return tenant.Signal{Kind: tenant.SignalBadEvent, Err: errors.New(large(i))}
		},
		"gaps":   func(i int) tenant.Signal { return tenant.Signal{Kind: tenant.SignalGap, Err: errors.New(large(i))} },
		"losses": func(i int) tenant.Signal { return tenant.Signal{Kind: tenant.SignalLost, Err: errors.New(large(i))} },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				release, flood, blocked := make(chan struct{}), make(chan struct{}), false
				f.cfg.Feed = feedFunc(func(ctx context.Context, sink func(tenant.Signal)) error {
					sink(tenant.Signal{Kind: tenant.SignalSubscribed})
					<-flood
					blocked = true
					sink(tenant.Signal{Kind: tenant.SignalGap})
					wait(ctx, time.Millisecond)
					for i := range 240 {
						sink(signal(i))
					}
					<-ctx.Done()
					return ctx.Err()
				})
				f.log.hook = func(string) {
					if blocked {
						<-release
					}
				}
				d := f.start(t)
				before := heap()
				close(flood)
				pass(time.Second)
				if grown := (heap() - before) / mib; grown > 200 {
					t.Errorf("%d MiB are kept", grown)
				}
				close(release)
				pass(discovery.DefaultPollInterval * 2)
				if d.Len() != 1 {
					t.Errorf("%d tenants", d.Len())
				}
			})
		})
	}
}

// TestX25ABlockedLoggerHidesNoState: what is due because time passes is seen, though the goroutine that applies events waits in
// the Logger.
func TestX25ABlockedLoggerHidesNoState(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		release := make(chan struct{})
		f.cfg.Feed = feedFunc(func(ctx context.Context, sink func(tenant.Signal)) error {
			sink(tenant.Signal{Kind: tenant.SignalSubscribed, Heartbeats: true})
			wait(ctx, time.Second)
			sink(tenant.Signal{Kind: tenant.SignalBadEvent, Err: errors.New("unreadable")})
			<-ctx.Done()
			return ctx.Err()
		})
		f.log.hook = func(line string) {
			if strings.Contains(line, "an event could not be used") {
				<-release
			}
		}
		d := f.start(t)
		pass(13 * time.Second)
		wantState(t, d, discovery.Polling)
		close(release)
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // it is not that large
}

// TestX25WhatIsRemembered of events that a feed made itself is as short as of those that were parsed.
func TestX25WhatIsRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		before := heap()
		for i := range 200 {
			long := strings.Repeat("e", 1<<20) + fmt.Sprint(i)
			evt := event(tenant.EventServiceAssociated, fmt.Sprint("t", i))
			evt.Epoch, evt.Revision, evt.EventID = long, 7, long
			if err := d.HandleEvent(t.Context(), evt); err != nil {
				t.Fatal(err)
			}
			evt.EventType = tenant.EventType("tenant." + long[:200] + fmt.Sprint(i))
			_ = d.HandleEvent(t.Context(), evt)
		}
		if grown := (heap() - before) / 1024; grown > 4096 {
			t.Errorf("%d KiB are kept", grown)
		}
		for _, line := range f.log.find(0) {
			if len(line) > 4096 {
				t.Errorf("a line of %d bytes: %.100s", len(line), line)
			}
		}
		runtime.KeepAlive(d)
	})
}

// TestX25EachTextCounts of a signal: what a field more brings is part of what may wait.
func TestX25EachTextCounts(t *testing.T) {
	const long = 10_000
	grows := func(name string, field reflect.Value, sig *tenant.Signal) {
		switch field.Kind() {
		case reflect.String:
			field.SetString(strings.Repeat("x", long))
		case reflect.Slice:
			field.SetBytes(make([]byte, long))
		default:
			return
		}
		if grown := discovery.SizeOf(*sig) - discovery.SizeOf(tenant.Signal{}); grown < long {
			t.Errorf("%s of %d bytes counts as %d", name, long, grown)
		}
	}
	for _, of := range []func(*tenant.Signal) reflect.Value{
		func(sig *tenant.Signal) reflect.Value { return reflect.ValueOf(&sig.Event).Elem() },
		func(sig *tenant.Signal) reflect.Value { return reflect.ValueOf(&sig.Version).Elem() },
	} {
		for i := range of(&tenant.Signal{}).NumField() {
			var sig tenant.Signal
			grows(of(&sig).Type().Field(i).Name, of(&sig).Field(i), &sig)
		}
	}
}

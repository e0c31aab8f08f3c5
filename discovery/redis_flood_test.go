package discovery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// flood publishes n adds of 1 KB, a thousand at once.
func flood(t *testing.T, client *redis.Client, n int) {
	t.Helper()
	padding := string(bytes.Repeat([]byte("x"), 900))
	for from := 0; from < n; from += 1000 {
		_, err := client.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
			for i := from; i < min(from+1000, n); i++ {
				data, err := json.Marshal(tenant.Event{
					EventType: tenant.EventServiceAssociated, TenantID: fmt.Sprintf("flood-%06d", i), EventID: fmt.Sprint(i),
					Payload: json.RawMessage(`{"service_name":"ledger","padding":"` + padding + `"}`),
				})
				if err != nil {
					return err
				}
				pipe.Publish(t.Context(), redisevents.EnvironmentChannelName("test"), data)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestD29FullSpeed: the set is complete while the callbacks are still at the first thousands, Redis cuts nobody off, and
// every change is told in the end, in order.
func TestD29FullSpeed(t *testing.T) {
	const n = 50000
	r := newReal(t)
	r.cfg.RedisConfig.SilenceLimit = 0 // the default: it is not about silence, which a busy machine can look like
	r.cfg.ResyncInterval = time.Hour
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	told := make([]string, 0, n)
	var all sync.WaitGroup
	all.Add(n)
	d.OnTenantAdded(func(_ context.Context, id string) {
		if len(told) < 2000 {
			<-time.After(time.Millisecond) // its work; the first thousands are enough to be late
		}
		told = append(told, id)
		all.Done()
	})
	flood(t, r.redis.Client(), n)
	eventually(t, func() string {
		if d.Len() < n {
			return fmt.Sprintf("%d of %d are in the set; %+v", d.Len(), n, d.Status())
		}
		return ""
	})
	all.Wait()
	if !slices.IsSorted(told) || len(slices.Compact(told)) != n {
		t.Errorf("%d were told, in order: %v", len(told), slices.IsSorted(told))
	}
	if s := d.Status(); s.Counters.Subscriptions != 1 || s.Counters.EventsDropped != 0 {
		t.Errorf("%+v", s.Counters)
	}
}

// TestBlockedCallbackDuringFlood: nothing is lost, nothing hangs, order is kept.
func TestBlockedCallbackDuringFlood(t *testing.T) {
	const n = 20000
	r := newReal(t)
	r.cfg.RedisConfig.SilenceLimit = 0 // the default: it is not about silence, which a busy machine can look like
	r.cfg.ResyncInterval = time.Hour
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	release := make(chan struct{})
	var told []string
	var all sync.WaitGroup
	all.Add(n)
	d.OnTenantAdded(func(_ context.Context, id string) {
		<-release
		told = append(told, id)
		all.Done()
	})
	flood(t, r.redis.Client(), n)
	eventually(t, func() string {
		if d.Len() < n {
			return fmt.Sprintf("%d of %d are in the set; %+v", d.Len(), n, d.Status())
		}
		return ""
	})
	close(release)
	all.Wait()
	if !slices.IsSorted(told) {
		t.Error("told out of order")
	}
	if s := d.Status(); s.State != discovery.Live || s.Counters.Subscriptions != 1 {
		t.Errorf("%+v", s)
	}
}

// TestCallbacksRegisteredWhileEventsFly: under the race detector.
func TestCallbacksRegisteredWhileEventsFly(t *testing.T) {
	r := newReal(t)
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	var registering sync.WaitGroup
	for range 4 {
		registering.Go(func() {
			for range 50 {
				keep(d)
				d.OnStatusChange(func(context.Context, discovery.Status) {})
				_ = d.Explain("flood-000001")
				for range d.All() {
					break
				}
			}
		})
	}
	flood(t, r.redis.Client(), 2000)
	registering.Wait()
	eventually(t, func() string {
		if d.Len() < 2000 {
			return fmt.Sprint(d.Len(), " are in the set")
		}
		return ""
	})
}

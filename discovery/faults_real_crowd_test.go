package discovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// crowd are many discoveries of one Redis and one manager, and when they asked for the list.
type crowd struct {
	members []*discovery.TenantDiscovery

	mu    sync.Mutex // guards asked
	asked []time.Time
}

// note keeps when a request began.
func (c *crowd) note() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, time.Now())
}

// since returns when the requests after a time began, as durations from then on, sorted.
func (c *crowd) since(begin time.Time) (after []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.asked {
		if at.After(begin) {
			after = append(after, at.Sub(begin))
		}
	}
	slices.Sort(after)
	return after
}

// newCrowd starts n discoveries, and waits until all are live.
func newCrowd(t *testing.T, r *realServers, n int) *crowd {
	t.Helper()
	c := &crowd{members: make([]*discovery.TenantDiscovery, n)}
	f := fixture{cfg: r.cfg}
	f.cfg.TMClient = fetcher(func(ctx context.Context, service string) ([]*tenant.Summary, error) {
		c.note()
		return r.client.GetActiveTenantsByService(ctx, service)
	})
	f.cfg.Logger = slog.New(slog.DiscardHandler) // of so many it would be a book
	for i := range c.members {
		c.members[i] = f.new(t)
	}
	var starts sync.WaitGroup
	for _, d := range c.members {
		starts.Go(func() {
			if err := d.Start(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	starts.Wait()
	return c
}

// untilEqual waits until every set is the manager's and every state live.
func (c *crowd) untilEqual(t *testing.T, r *realServers) {
	t.Helper()
	var truth []string
	for _, row := range r.manager.Active(service) {
		truth = append(truth, row.ID)
	}
	slices.Sort(truth)
	left := slices.Clone(c.members)
	eventually(t, func() string {
		left = slices.DeleteFunc(left, func(d *discovery.TenantDiscovery) bool {
			return d.Status().State == discovery.Live && slices.Equal(slices.Sorted(d.All()), truth)
		})
		if len(left) > 0 {
			return fmt.Sprintf("%d of %d are not equal and live, the first: %+v", len(left), len(c.members), left[0].Status())
		}
		return ""
	})
}

// TestD24ManyDiscoveries restarts Redis under many discoveries: the manager is asked once by each, not by all at once,
// and all are equal soon. The short form has fewer of them, and asserts nothing about time.
func TestD24ManyDiscoveries(t *testing.T) {
	n, away := 200, 200*time.Millisecond
	if *faultsFull {
		n, away = 1000, 5*time.Second
	}
	r := newReal(t)
	r.cfg.RedisConfig.SilenceLimit = 0 // the default: so many in one process are slow
	r.cfg.ResyncSpread, r.cfg.FeedTimeout = time.Second, time.Minute
	r.add(t, "acme", "bolt")
	c := newCrowd(t, r, n)
	c.untilEqual(t, r)
	r.redis.Kill()
	r.add(t, "missed")
	r.suspend(t, "bolt")
	<-time.After(away)
	back := time.Now()
	r.redis.Start()
	answers := time.Now()
	c.untilEqual(t, r)
	took := time.Since(answers)
	asked := c.since(back)
	t.Logf("%d discoveries: equal %v after the return, %d requests, half of them within %v, the last after %v; %v",
		n, took, len(asked), median(asked), asked[len(asked)-1], histogram(asked))
	if len(asked) > n+n/20 { // a connection may break once more in the rush
		t.Errorf("%d requests by %d discoveries", len(asked), n)
	}
	if !*faultsFull {
		return
	}
	for slice, count := range histogram(asked) {
		if count > n/5 {
			t.Errorf("%d of %d requests in the tenth %d of ResyncSpread after the return", count, n, slice)
		}
	}
	if within := 10 * time.Second; took > within {
		t.Errorf("all were equal after %v, the bound is %v", took, within)
	}
}

// histogram counts the requests in each tenth of a second, which is a tenth of ResyncSpread.
func histogram(after []time.Duration) (counts []int) {
	for _, at := range after {
		slice := int(at / (100 * time.Millisecond))
		for len(counts) <= slice {
			counts = append(counts, 0)
		}
		counts[slice]++
	}
	return counts
}

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
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// crowd are many discoveries of one Redis and one manager.
type crowd struct {
	members []*discovery.TenantDiscovery
	diaries []*memberDiary
}

// memberDiary is when one of them was subscribed and when it asked for the list.
type memberDiary struct {
	mu                sync.Mutex // guards what follows
	subscribed, asked []time.Time
}

func (d *memberDiary) note(in *[]time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*in = append(*in, time.Now())
}

// notedFeed notes when it tells of a subscription.
type notedFeed struct {
	tenant.Feed

	diary *memberDiary
}

func (f notedFeed) Run(ctx context.Context, sink func(tenant.Signal)) error {
	return f.Feed.Run(ctx, func(sig tenant.Signal) {
		if sig.Kind == tenant.SignalSubscribed {
			f.diary.note(&f.diary.subscribed)
		}
		sink(sig)
	})
}

// since returns, sorted, how long after a time the lists were asked for, and how long each had waited since its
// discovery was subscribed.
func (c *crowd) since(begin time.Time) (after, waited []time.Duration) {
	for _, d := range c.diaries {
		d.mu.Lock()
		for _, at := range d.asked {
			if at.Before(begin) {
				continue
			}
			after = append(after, at.Sub(begin))
			for _, subscribed := range slices.Backward(d.subscribed) {
				if subscribed.Before(at) {
					waited = append(waited, at.Sub(subscribed))
					break
				}
			}
		}
		d.mu.Unlock()
	}
	slices.Sort(after)
	slices.Sort(waited)
	return after, waited
}

// newCrowd starts n discoveries, and waits until all are live.
func newCrowd(t *testing.T, r *realServers, n int) *crowd {
	t.Helper()
	c := &crowd{members: make([]*discovery.TenantDiscovery, n), diaries: make([]*memberDiary, n)}
	f := fixture{cfg: r.cfg}
	f.cfg.Logger = slog.New(slog.DiscardHandler) // of so many it would be a book
	for i := range c.members {
		diary := &memberDiary{}
		feed, err := redisevents.NewPubSub(r.cfg.RedisConfig, r.cfg.Environment)
		if err != nil {
			t.Fatal(err)
		}
		f.cfg.Feed = notedFeed{feed, diary}
		f.cfg.TMClient = fetcher(func(ctx context.Context, service string) ([]*tenant.Summary, error) {
			diary.note(&diary.asked)
			return r.client.GetActiveTenantsByService(ctx, service)
		})
		c.members[i], c.diaries[i] = f.new(t), diary
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

// TestD24ManyDiscoveries restarts Redis under many discoveries: the manager is asked once by each, each waits for a part
// of ResyncSpread of its own, and all are equal soon. The short form has fewer of them, and asserts no time that a busy
// machine could break: there the waits only get longer.
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
	asked, waited := c.since(back)
	t.Logf("%d discoveries: equal %v after the return, %d requests, half of them within %v, the last after %v; half waited for %v; %v",
		n, took, len(asked), median(asked), asked[len(asked)-1], median(waited), histogram(asked))
	if len(asked) > n+n/20 { // a connection may break once more in the rush
		t.Errorf("%d requests by %d discoveries", len(asked), n)
	}
	if least := r.cfg.ResyncSpread / 4; median(waited) < least {
		t.Errorf("half of the discoveries asked within %v of their subscription, %v at least is what jitter makes of it", median(waited), least)
	}
	if within := 10 * time.Second; *faultsFull && took > within {
		t.Errorf("all were equal after %v, the bound is %v", took, within)
	}
}

// histogram counts the requests in each tenth of a second, to be looked at.
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

package relay

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// sending is a call of one relay's publisher.
type sending struct {
	by         string
	from, to   time.Time
	events     []string
	heartbeats bool
}

// witness is told by all relays what they send.
type witness struct {
	mu   sync.Mutex
	seen []sending
}

// slowly takes its time, so that two relays would be seen at once.
type slowly struct {
	*witness

	name string
}

func (p slowly) PublishAll(_ context.Context, events [][]byte) []error {
	s := sending{by: p.name, from: time.Now()}
	for _, event := range events {
		s.events = append(s.events, string(event))
	}
	<-time.After(30 * time.Millisecond)
	p.note(s)
	return make([]error, len(events))
}

func (p slowly) AnnounceAll(ctx context.Context, events [][]byte) []error {
	return p.PublishAll(ctx, events)
}

func (p slowly) AppendAll(ctx context.Context, events [][]byte) []error {
	return p.PublishAll(ctx, events)
}

func (p slowly) Heartbeat(context.Context, string, tenant.Version) error {
	p.note(sending{by: p.name, from: time.Now(), heartbeats: true})
	return nil
}

func (w *witness) note(s sending) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.to = time.Now()
	w.seen = append(w.seen, s)
}

// check wants no two relays at one time, and returns what was sent.
func (w *witness) check(t *testing.T) map[string]bool {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortFunc(w.seen, func(a, b sending) int { return a.from.Compare(b.from) })
	sent := map[string]bool{}
	for i, s := range w.seen {
		if i > 0 && w.seen[i-1].by != s.by && s.from.Before(w.seen[i-1].to) {
			t.Errorf("%s and %s send at one time", w.seen[i-1].by, s.by)
		}
		for _, event := range s.events {
			sent[event] = true
		}
	}
	return sent
}

// TestX08OneRelayThroughAFailover has two managers behind an address that leads to a primary and then to what was its standby,
// under changes: once the first primary is dead, and once nobody has stopped it.
func TestX08OneRelayThroughAFailover(t *testing.T) {
	for name, dead := range map[string]bool{"the primary is dead": true, "the primary goes on": false} {
		t.Run(name, func(t *testing.T) {
			primary := testserver.StartPostgres(t)
			dsn := primary.Database(t)
			standby := primary.Standby(t)
			proxy := testserver.NewProxy(t, primary.Addr())
			w := &witness{}
			var stores []*store.Store
			for i := range 2 {
				s, _ := useStore(t, behind(t, proxy.Addr(), dsn))
				relay(t, s, redisevents.Config{}, Config{Publisher: slowly{w, fmt.Sprint("manager ", i)}})
				stores = append(stores, s)
			}
			stop := changeAll(t, stores)
			eventually(t, "the standby has some", func() bool { return len(w.check(t)) > 20 })
			if dead { // the address leads to the standby before that is promoted
				primary.Kill()
				proxy.SetTarget(standby.Addr())
				waitUntilRefused(t, stores)
			}
			standby.Promote(t)
			proxy.SetTarget(standby.Addr())
			fresh, _ := useStore(t, behind(t, standby.Addr(), dsn))
			before := version(t, fresh).Revision
			eventually(t, "changes reach the new primary", func() bool { return version(t, fresh).Revision > before+20 })
			stop()
			waitUntilSent(t, fresh)
			sent := w.check(t)
			for _, event := range allEvents(t, fresh) {
				if !sent[string(event.Data)] {
					t.Errorf("revision %d was not sent", event.Revision)
				}
			}
		})
	}
}

// waitUntilRefused waits until each manager has met the standby.
func waitUntilRefused(t *testing.T, stores []*store.Store) {
	t.Helper()
	for _, s := range stores {
		eventually(t, "a refusal", func() bool {
			err := s.Ping(t.Context())
			return err != nil && strings.Contains(err.Error(), "standby")
		})
	}
}

func behind(t *testing.T, addr, dsn string) string {
	t.Helper()
	parsed, err := url.Parse(dsn)
	must(t, err)
	parsed.Host = addr
	return parsed.String()
}

func version(t *testing.T, s *store.Store) tenant.Version {
	t.Helper()
	v, err := s.Version(t.Context())
	must(t, err)
	return v
}

// changeAll makes changes by all stores until stop; that some fail is the point.
func changeAll(t *testing.T, stores []*store.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	for i, s := range stores {
		changing.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				call, end := context.WithTimeout(ctx, 2*time.Second)
				_, _, _ = s.CreateTenant(call, store.NewTenant{Name: fmt.Sprintf("%d of %d", n, i)})
				end()
				<-time.After(5 * time.Millisecond)
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		changing.Wait()
	})
	t.Cleanup(stop)
	return stop
}

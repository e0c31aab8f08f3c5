package discovery

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// startForTest makes and starts a discovery of a manager in memory.
func startForTest(t *testing.T, tenants ...string) (*tenanttest.Manager, *tenanttest.Feed, *TenantDiscovery) {
	t.Helper()
	feed := tenanttest.NewFeed()
	manager := tenanttest.NewManager(tenanttest.WithPublisher(feed.Publish))
	if err := manager.Add(t.Context(), "ledger", tenants...); err != nil {
		t.Fatal(err)
	}
	d, err := NewTenantDiscovery(Config{ServiceName: "ledger", TMClient: manager.Fetcher(), Feed: feed, BootstrapTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return manager, feed, d
}

// held is what a discovery keeps besides the set.
type held struct{ pending, marks, ahead, waiting int }

func holding(d *TenantDiscovery) held {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	sizes := d.core.Sizes()
	h := held{pending: len(d.box.items), marks: sizes.Marks, ahead: sizes.MostBeyond}
	d.run.inbox.mu.Lock()
	defer d.run.inbox.mu.Unlock()
	h.waiting = d.run.inbox.count
	return h
}

// churn announces changes of n tenants, rounds times each.
func churn(t *testing.T, m *tenanttest.Manager, n, rounds int) {
	t.Helper()
	for range rounds {
		for i := range n {
			id := fmt.Sprint("busy", i)
			if err := m.Add(t.Context(), "ledger", id); err != nil {
				t.Fatal(err)
			}
			if err := m.Delete(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
	}
}

// TestD05MemoryDuringASlowSnapshot is bounded by the tenants, however many events there are of them.
func TestD05MemoryDuringASlowSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, _, d := startForTest(t, "acme")
		manager.DelayList(1, 30*time.Second)
		refreshed := make(chan error)
		go func() { refreshed <- d.Refresh(t.Context()) }()
		synctest.Wait()
		const tenants = 10
		churn(t, manager, tenants, 100)
		if got := holding(d); got.marks > tenants || got.ahead != 0 || got.waiting != 0 {
			t.Errorf("after 2,000 events of %d tenants it keeps %+v", tenants, got)
		}
		if err := <-refreshed; err != nil {
			t.Fatal(err)
		}
	})
}

// TestD15MemoryWhileACallbackBlocks is bounded by the tenants: of each one item is pending, of the state another one.
func TestD15MemoryWhileACallbackBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, feed, d := startForTest(t)
		blocked := make(chan struct{})
		release := sync.OnceFunc(func() { close(blocked) })
		defer release()
		d.OnTenantAdded(func(context.Context, string) { <-blocked })
		if err := manager.Add(t.Context(), "ledger", "blocker"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		watched := 0
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			for range d.Changes(ctx) {
				watched++
			}
		}()
		synctest.Wait()
		const tenants = 10
		for i := range tenants {
			if err := manager.Add(t.Context(), "ledger", fmt.Sprint("there", i)); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			churn(t, manager, tenants, 50)
			feed.Disconnect(nil)
			feed.Connect()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		if got := holding(d); got.pending > 2*tenants+1 || got.marks > 2*tenants+1 || got.ahead != 0 || got.waiting != 0 {
			t.Errorf("after 5,000 events of %d tenants it keeps %+v", 2*tenants, got)
		}
		if s := d.Status(); s.State != Live || s.Counters.Subscriptions != 6 {
			t.Errorf("the link was held up: %v, %d subscriptions", s.State, s.Counters.Subscriptions)
		}
		if watched <= tenants { // the first one, and those that are there; of the others it may have heard nothing
			t.Errorf("the watcher was told %d changes", watched)
		}
		release()
		synctest.Wait()
		if got := holding(d); got.pending != 0 {
			t.Errorf("told all, and %d are pending", got.pending)
		}
	})
}

// TestD15ReadsWaitForNobody: not for one who changes the core, tells a watcher or puts something into a mailbox, which is
// shown by holding the locks of all of these.
func TestD15ReadsWaitForNobody(t *testing.T) {
	manager, _, d := startForTest(t, "acme", "beta")
	inCallback, release := make(chan struct{}), make(chan struct{})
	d.OnTenantAdded(func(context.Context, string) { close(inCallback); <-release })
	if err := manager.Add(t.Context(), "ledger", "gamma"); err != nil {
		t.Fatal(err)
	}
	<-inCallback
	defer close(release)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.callbacks.mu.Lock()
	defer d.callbacks.mu.Unlock()
	read := make(chan string)
	go func() {
		var said []string
		for id := range d.All() {
			said = append(said, id)
		}
		read <- fmt.Sprintf("%d in the loop, %d ids, %d, acme %v, gamma %v, status %d", len(said), len(d.ActiveTenantIDs()), d.Len(),
			d.IsActive("acme"), d.IsActive("gamma"), d.Status().Tenants)
	}()
	select {
	case said := <-read:
		if want := "3 in the loop, 3 ids, 3, acme true, gamma true, status 3"; said != want {
			t.Errorf("read %q, want %q", said, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a read waits for a lock")
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = d.IsActive("acme"), d.Len(), d.Status() }); n != 0 {
		t.Errorf("a read allocates %v times", n)
	}
}

// TestD14MemoryOfWhatIsForged stays bounded: events of ever new tenants, ids, types, environments and revisions.
func TestD14MemoryOfWhatIsForged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, feed, d := startForTest(t, "acme")
		for i := range 3 * activeset.MostSizes().Marks / 2 {
			evt := tenant.Event{
				EventID: fmt.Sprint(i), EventType: tenant.EventType(fmt.Sprint("tenant.novelty", i)), TenantID: fmt.Sprint("t", i),
				Environment: fmt.Sprint("e", i), Epoch: d.Status().Version.Epoch, Revision: uint64(10 + 2*i),
			}
			if i%2 == 0 {
				evt.EventType = tenant.EventDeleted
			}
			if err := feed.Publish(t.Context(), evt); err != nil {
				t.Fatal(err)
			}
			if i%applyAtOnce == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		d.mu.Lock()
		sizes, most := d.core.Sizes(), activeset.MostSizes()
		d.mu.Unlock()
		if sizes.IDs > most.IDs || sizes.Marks > most.Marks+2 || sizes.MostBeyond > most.MostBeyond || sizes.UnknownTypes > most.UnknownTypes {
			t.Errorf("it keeps %+v, at most %+v is allowed", sizes, most)
		}
	})
}

// TestD15EveryKindOfCallbackPanics, every time: what else there is goes on.
func TestD15EveryKindOfCallbackPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, feed, d := startForTest(t, "acme")
		synctest.Wait() // until nobody is to be told of the start any more
		d.OnTenantAdded(func(context.Context, string) { panic("added") })
		d.OnTenantRemoved(func(context.Context, string) { panic("removed") })
		d.OnTenantReconfigured(func(context.Context, string, tenant.EventType) { panic("reconfigured") })
		d.OnStatusChange(func(context.Context, Status) { panic("status") })
		var told []string
		d.OnTenantAdded(func(_ context.Context, id string) { told = append(told, "+"+id) })
		d.OnTenantRemoved(func(_ context.Context, id string) { told = append(told, "-"+id) })
		d.OnTenantReconfigured(func(_ context.Context, id string, _ tenant.EventType) { told = append(told, "~"+id) })
		d.OnStatusChange(func(_ context.Context, s Status) { told = append(told, s.State.String()) })
		if err := manager.RotateCredentials(t.Context(), "acme", "ledger"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := manager.Suspend(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := manager.Reactivate(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		feed.Gap(nil)
		synctest.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if got, want := strings.Join(told, " "), "~acme -acme +acme syncing live"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		s := d.Status()
		if s.State != Live || s.Counters.CallbackPanics != 5 || !d.IsActive("acme") {
			t.Errorf("%v with %d panics, acme there: %v", s.State, s.Counters.CallbackPanics, d.IsActive("acme"))
		}
	})
}

package discovery

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestFold(t *testing.T) {
	const a, r, c = tenant.Added, tenant.Removed, tenant.Reconfigured
	for _, tc := range []struct {
		name string
		news []tenant.Kind
		want []tenant.Kind
	}{
		{"one", []tenant.Kind{a}, []tenant.Kind{a}},
		{"added, removed", []tenant.Kind{a, r}, nil},
		{"removed, added", []tenant.Kind{r, a}, []tenant.Kind{r, a}},
		{"removed, added, removed", []tenant.Kind{r, a, r}, []tenant.Kind{r}},
		{"removed, added, reconfigured", []tenant.Kind{r, a, c}, []tenant.Kind{r, a}},
		{"removed, added, removed, added", []tenant.Kind{r, a, r, a}, []tenant.Kind{r, a}},
		{"added, reconfigured", []tenant.Kind{a, c}, []tenant.Kind{a}},
		{"added, reconfigured, removed", []tenant.Kind{a, c, r}, nil},
		{"reconfigured, removed", []tenant.Kind{c, r}, []tenant.Kind{r}},
		{"reconfigured, removed, added", []tenant.Kind{c, r, a}, []tenant.Kind{r, a}},
		{"reconfigured twice", []tenant.Kind{c, c}, []tenant.Kind{c}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			box := newMailbox()
			for _, kind := range tc.news {
				box.put(activeset.News{Key: "acme", Change: tenant.Change{Kind: kind}})
			}
			if got := kinds(box.take()); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if box.take() != nil || len(box.items) != 0 {
				t.Error("there is more in the mailbox")
			}
		})
	}
}

func kinds(it *item) (all []tenant.Kind) {
	if it == nil {
		return nil
	}
	for _, change := range it.changes {
		all = append(all, change.Kind)
	}
	return all
}

func TestFoldKeepsTheWeightierReason(t *testing.T) {
	for _, tc := range []struct{ first, second, want tenant.EventType }{
		{tenant.EventCredentialsRotated, tenant.EventCacheInvalidate, tenant.EventCredentialsRotated},
		{tenant.EventCacheInvalidate, tenant.EventConnectionsUpdated, tenant.EventConnectionsUpdated},
		{tenant.EventConnectionsUpdated, tenant.EventCredentialsRotated, tenant.EventCredentialsRotated},
	} {
		box := newMailbox()
		box.put(activeset.News{Key: "acme", Change: tenant.Change{Kind: tenant.Reconfigured, EventType: tc.first}})
		box.put(activeset.News{Key: "acme", Change: tenant.Change{Kind: tenant.Reconfigured, EventType: tc.second}})
		if got := box.take().changes[0].EventType; got != tc.want {
			t.Errorf("%s, %s: got %s", tc.first, tc.second, got)
		}
	}
}

// TestMailboxTellsTheNetChange lets a slow reader take now and then while tenants come and go. What it is told alternates,
// is bounded by the tenants, and leads to the truth.
func TestMailboxTellsTheNetChange(t *testing.T) {
	names := []string{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		box := newMailbox()
		truth, told := map[string]bool{}, map[string]bool{}
		read := func() bool {
			it := box.take()
			if it == nil {
				return false
			}
			for _, change := range it.changes {
				if change.Kind == tenant.Reconfigured {
					if !told[it.key] {
						t.Fatalf("reconfigured %s, which is not there", it.key)
					}
					continue
				}
				if told[it.key] == (change.Kind == tenant.Added) {
					t.Fatalf("%s %s twice", change.Kind, it.key)
				}
				told[it.key] = change.Kind == tenant.Added
			}
			return true
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "tenant")
			switch rapid.SampledFrom([]string{"flip", "flip", "reconfigure", "read"}).Draw(t, "step") {
			case "flip":
				kind := tenant.Added
				if truth[name] {
					kind = tenant.Removed
				}
				truth[name] = !truth[name]
				box.put(activeset.News{Key: name, Change: tenant.Change{Kind: kind}})
			case "reconfigure":
				if truth[name] {
					box.put(activeset.News{Key: name, Change: tenant.Change{Kind: tenant.Reconfigured}})
				}
			case "read":
				read()
			}
			if box.order.Len() > len(names) || len(box.items) != box.order.Len() {
				t.Fatalf("%d items, %d in order", len(box.items), box.order.Len())
			}
		}
		for read() {
		}
		for _, name := range names {
			if truth[name] != told[name] {
				t.Fatalf("%s: told %v, true is %v", name, told[name], truth[name])
			}
		}
	})
}

func TestMailboxReleasesThoseWhoWait(t *testing.T) {
	box := newMailbox()
	folded := box.putAwaited(activeset.News{Key: "a", Change: tenant.Change{Kind: tenant.Added}})
	box.put(activeset.News{Key: "a", Change: tenant.Change{Kind: tenant.Removed}})
	select {
	case <-folded:
	default:
		t.Error("who waits for what was folded to nothing waits on")
	}
	first := box.putAwaited(activeset.News{Key: "b", Change: tenant.Change{Kind: tenant.Removed}})
	second := box.putAwaited(activeset.News{Key: "b", Change: tenant.Change{Kind: tenant.Added}})
	if first != second {
		t.Error("who waits for one tenant does not share, and many who wait take memory without bound")
	}
	it := box.take()
	select {
	case <-first:
		t.Error("told before it was dealt with")
	default:
	}
	it.done()
	<-first
	<-second
}

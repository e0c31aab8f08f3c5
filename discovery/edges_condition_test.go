package discovery_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestX07A304WithoutVersionsAfterAHole is followed by a request without the ETag, at once, and nobody is said to forge.
func TestX07A304WithoutVersionsAfterAHole(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newListFixture(t, "acme")
		f.overHTTP(t, withoutVersionsOn304(f.manager), managerapi.Config{APIKey: managerapi.StaticKey(f.manager.APIKey())})
		d := f.start(t)
		f.feed.Drop(1)
		for range 2 { // which changes nothing for this service, and the first event is lost
			if _, err := f.manager.Associate(t.Context(), "acme", fmt.Sprint("other", f.manager.Version().Revision), managerapi.CreateAssociationRequest{IsolationMode: "isolated"}); err != nil {
				t.Fatal(err)
			}
		}
		pass(2500 * time.Millisecond)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "acme")
		if n := f.manager.Requests(); n != 3 {
			t.Errorf("%d requests, want the bootstrap, the one of the hole, and the one without its ETag", n)
		}
		if n := d.Status().Counters; n.SnapshotsFailed > 0 {
			t.Errorf("counted %+v", n)
		}
		f.log.want(t, 0, slog.LevelWarn)

		f.feed.Drop(1)
		for range 2 {
			if _, err := f.manager.Associate(t.Context(), "acme", fmt.Sprint("other", f.manager.Version().Revision), managerapi.CreateAssociationRequest{IsolationMode: "isolated"}); err != nil {
				t.Fatal(err)
			}
		}
		settle()
		if err := d.Refresh(t.Context()); err != nil || d.Status().State != discovery.Live {
			t.Errorf("refreshed, %v, and the state is %v", err, d.Status().State)
		}
	})
}

// withoutVersionsOn304 leaves them out.
func withoutVersionsOn304(manager http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { manager.ServeHTTP(bare304{w}, r) })
}

type bare304 struct{ http.ResponseWriter }

func (b bare304) WriteHeader(status int) {
	if status == http.StatusNotModified {
		for _, name := range []string{managerapi.HeaderEpoch, managerapi.HeaderRevision, managerapi.HeaderEnvironment, "ETag"} {
			b.Header().Del(name)
		}
	}
	b.ResponseWriter.WriteHeader(status)
}

// TestX07AConditionThatIsRefused is not repeated for ever, whoever's client it is.
func TestX07AConditionThatIsRefused(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestHeaderFieldsTooLarge} {
		for _, way := range []string{"HTTP", "another client"} {
			t.Run(fmt.Sprint(status, " ", way), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := newFixture(t, "acme")
					if way == "HTTP" {
						f.overHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if r.Header.Get("If-None-Match") != "" {
								w.WriteHeader(status)
								return
							}
							f.manager.ServeHTTP(w, r)
						}), managerapi.Config{APIKey: managerapi.StaticKey(f.manager.APIKey())})
					} else {
						f.cfg.TMClient = picky{f.manager.Fetcher(), status}
					}
					d := f.start(t)
					f.feed.Gap(nil)
					pass(10 * time.Second)
					wantState(t, d, discovery.Live)
				})
			})
		}
	}
}

// picky takes no condition.
type picky struct {
	bothFetchers

	status int
}

func (p picky) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	if req.Have.ETag != "" {
		return tenant.Snapshot{}, &managerapi.Error{StatusCode: p.status}
	}
	return p.bothFetchers.FetchSnapshot(ctx, req)
}

// TestX07TheReasonThatIsNamed is the one for which the list is asked for.
func TestX07TheReasonThatIsNamed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.start(t)
		_, release := f.manager.HoldList()
		defer release()
		if err := d.HandleEvent(t.Context(), event(tenant.EventActivated, "absent")); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		wantState(t, d, discovery.Syncing)
		if want := "tenant.activated of a tenant that is not in the set; nothing to do, a snapshot is on its way"; d.Status().Reason != want {
			t.Errorf("the reason is %q, want %q", d.Status().Reason, want)
		}
	})
}

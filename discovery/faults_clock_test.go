package discovery_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// TestD19FileFromAnotherClock: the process starts after the clock went an hour forward or back. The set is the file's
// either way, and its age is never negative.
func TestD19FileFromAnotherClock(t *testing.T) {
	for name, jump := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			var saved []byte
			bubble(t, func(t *testing.T) {
				if jump < 0 {
					pass(-jump) // this bubble's clock is ahead of the next one's
				}
				_, path := savedFile(t, "acme", "globex")
				saved = read(t, path)
			})
			file := keepFile(t, saved)
			bubble(t, func(t *testing.T) {
				if jump > 0 {
					pass(jump)
				}
				f := newFixture(t, "acme", "new")
				f.cfg.SnapshotFile = file
				f.managerDown()
				d := f.start(t)
				wantSet(t, d, "acme", "globex")
				wantState(t, d, discovery.Stale)
				most := max(jump, 0) + time.Minute
				if age := d.Status().Age(); age < 0 || age > most {
					t.Errorf("its age is %v, want 0 to %v", age, most)
				}
				if lines := f.log.find(slog.LevelWarn, "started from the snapshot file"); len(lines) != 1 || strings.Contains(lines[0], "age=-") {
					t.Errorf("logged %q", lines)
				}
				pass(10 * time.Minute)
				wantSet(t, d, "acme", "globex") // nothing expires
				if age := d.Status().Age(); age < 0 {
					t.Errorf("its age is %v", age)
				}
				f.manager.ClearFaults()
				pass(31 * time.Second)
				wantSet(t, d, "acme", "new")
				wantState(t, d, discovery.Live)
				if age := d.Status().Age(); age < 0 || age > 31*time.Second {
					t.Errorf("its age is %v", age)
				}
			})
		})
	}
}

// keepFile writes a file that is there until the test ends.
func keepFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tenants.snapshot")
	write(t, path, data)
	return path
}

// shifted publishes with timestamps of a clock that is wrong by that much.
func (f *fixture) shifted(by *time.Duration) func(ctx context.Context, evt tenant.Event) error {
	return func(ctx context.Context, evt tenant.Event) error {
		evt.Timestamp = evt.Timestamp.Add(*by)
		return f.feed.Publish(ctx, evt)
	}
}

// TestD19TimestampsJump: the manager's clock jumps between two events of a tenant. With versions its timestamps mean
// nothing; without them an event that seems to be older leads to a new list, and both end right.
func TestD19TimestampsJump(t *testing.T) {
	for name, jump := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		for _, versions := range []bool{true, false} {
			kind := map[bool]string{true: ", versions", false: ", no versions"}[versions]
			t.Run(name+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := newFixture(t)
					shift := time.Duration(0)
					opts := []tenanttest.Option{tenanttest.WithPublisher(f.shifted(&shift)), tenanttest.WithEnvironment("test")}
					if !versions {
						opts = append(opts, tenanttest.WithoutVersions())
					}
					f.manager = tenanttest.NewManager(opts...)
					f.cfg.TMClient = f.manager.Fetcher()
					f.add(t, "acme", "beta")
					d := f.start(t)
					told := keep(d)
					suspend := func(id string) { // for the service, so that no tenant.activated asks for a new list
						if err := f.manager.SuspendService(t.Context(), id, service); err != nil {
							t.Fatal(err)
						}
					}
					suspend("acme")
					f.add(t, "gamma")
					settle()
					shift = jump
					pass(time.Second)
					if err := f.manager.ReactivateService(t.Context(), "acme", service); err != nil {
						t.Fatal(err)
					}
					suspend("gamma")
					pass(time.Second)
					wantSet(t, d, "acme", "beta")
					wantState(t, d, discovery.Live)
					shift = 0 // and the clock is put right again
					suspend("acme")
					pass(time.Second)
					wantSet(t, d, "beta")
					pass(time.Hour)
					wantSet(t, d, "beta")
					wantState(t, d, discovery.Live)
					if got := told.read(); strings.Count(got, "+acme") != 1 || strings.Count(got, "-acme") != 2 || strings.Count(got, "gamma") != 2 {
						t.Errorf("told %q", got)
					}
					if versions && f.manager.Requests() > 1+16 { // the bootstrap's, and those of an hour
						t.Errorf("%d requests", f.manager.Requests())
					}
				})
			})
		}
	}
}

package worker_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

// TestW03CallsOfForEachThatIgnoreTheirCtxHoldUpNobody: as many calls as there are places ignore that their time is over, and
// all others have their turn; the error names the stuck ones.
func TestW03CallsOfForEachThatIgnoreTheirCtxHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		release := make(chan struct{})
		began := time.Now()
		progress := 0
		all := append([]string{"stuck-1", "stuck-0"}, ids(18)...)
		err := worker.ForEach(t.Context(), each(all...), func(_ context.Context, id string) error {
			if strings.HasPrefix(id, "stuck") {
				<-release
				panic("oh") // whatever it does in the end
			}
			log.addf("%s", id)
			if id == "t7" {
				return fs.ErrInvalid
			}
			return nil
		}, worker.ForEachConfig{Limit: 2, Timeout: time.Second, Progress: func(done, _ int) { progress = done }})
		if n := len(log.all()); n != 18 {
			t.Errorf("%d of the others had their turn", n)
		}
		if took := time.Since(began); took < 11*time.Second || took > 12*time.Second {
			t.Errorf("took %s", took)
		}
		still, ok := errors.AsType[*worker.StillRunningError](err)
		if !ok || !slices.Equal(still.TenantIDs, []string{"stuck-0", "stuck-1"}) || still.Changes {
			t.Errorf("got %+v", still)
		}
		want := "still running after the grace: the work of stuck-0, stuck-1; the work of 1 of 20 tenants failed; tenant t7: invalid argument"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if progress != 18 {
			t.Errorf("%d are done", progress)
		}
		close(release)
		synctest.Wait() // the goroutines end, or the bubble complains
	})
}

func TestAPassOfWhichOnlyAStuckCallIsLeftHasNotSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		err := worker.ForEach(t.Context(), each("stuck"), func(context.Context, string) error { <-release; return nil }, worker.ForEachConfig{Timeout: time.Second})
		if want := "still running after the grace: the work of stuck"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		close(release)
	})
}

func TestACallOfForEachThatOverstaysAndEndsInTimeCountsAsAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		progress := 0
		err := worker.ForEach(t.Context(), each(append([]string{"slow", "fails"}, ids(10)...)...), func(_ context.Context, id string) error {
			switch id {
			case "slow":
				time.Sleep(5 * time.Second)
			case "fails":
				time.Sleep(5 * time.Second)
				return fs.ErrInvalid
			default:
				time.Sleep(900 * time.Millisecond)
			}
			return nil
		}, worker.ForEachConfig{Limit: 1, Timeout: time.Second, StopGrace: time.Second, Progress: func(done, _ int) { progress = done }})
		if want := "the work of 1 of 12 tenants failed; tenant fails: invalid argument"; err == nil || err.Error() != want || progress != 12 {
			t.Errorf("got %v, and %d are done; want %s", err, progress, want)
		}
	})
}

func TestForEachWaitsForTheGraceAfterItsCtxEndedOrATenantWent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(time.Hour, cancel)
		release := make(chan struct{})
		var set activeSet
		time.AfterFunc(time.Minute, func() { set.remove("gone") })
		second := make(chan time.Duration, 1)
		began := time.Now()
		err := worker.ForEach(ctx, each("gone", "stuck", "never"), func(_ context.Context, id string) error {
			if id == "stuck" {
				second <- time.Since(began)
			}
			<-release
			return nil
		}, worker.ForEachConfig{Limit: 1, StopGrace: 5 * time.Second, Active: set.IsActive})
		if at := <-second; at < 65*time.Second || at > 66*time.Second {
			t.Errorf("the second began after %s", at)
		}
		if took := time.Since(began) - time.Hour; took < 5*time.Second || took > 6*time.Second {
			t.Errorf("returned %s after the end", took)
		}
		want := "1 of 3 tenants were not begun: context canceled; still running after the grace: the work of gone, stuck"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		close(release)
	})
}

func TestAForEachWhoseCallbackPanicsWaitsForTheGraceAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		began := time.Now()
		func() {
			defer func() {
				if p := recover(); p != "mine" {
					t.Errorf("the caller hears of %v", p)
				}
			}()
			_ = worker.ForEach(t.Context(), each("stuck", "quick", "other"), func(_ context.Context, id string) error {
				if id != "quick" {
					<-release
				}
				return nil
			}, worker.ForEachConfig{Limit: 2, Progress: func(int, int) { panic("mine") }})
		}()
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("took %s", took)
		}
		close(release)
	})
}

func TestForEachLeavesNothingBehindWhenItsCallbacksPanic(t *testing.T) {
	panics := func(done, total int) { panic("mine") }
	tests := map[string]worker.ForEachConfig{
		"Progress":                {Limit: 3, StopGrace: time.Hour, Progress: panics},
		"Active":                  {Limit: 3, StopGrace: time.Hour, Active: func(id string) bool { return id != "d" || panicNow() }},
		"Active of one that runs": {Limit: 3, StopGrace: time.Hour, Active: turnsBad("b")},
	}
	for name, cfg := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log journal
				func() {
					defer func() {
						if p := recover(); p != "mine" {
							t.Errorf("the caller hears of %v", p)
						}
					}()
					_ = worker.ForEach(t.Context(), each("a", "b", "c", "d"), func(ctx context.Context, id string) error {
						if id == "a" {
							time.Sleep(time.Minute)
							return nil
						}
						<-ctx.Done()
						time.Sleep(time.Second)
						log.addf("ended")
						return nil
					}, cfg)
				}()
				if n := len(log.all()); n < 2 {
					t.Errorf("%d had ended when it returned", n)
				}
			})
		})
	}
}

func panicNow() bool { panic("mine") }

func turnsBad(id string) func(string) bool {
	asked := 0
	return func(other string) bool {
		if other == id {
			asked++
		}
		return asked < 3 || panicNow()
	}
}

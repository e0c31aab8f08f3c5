package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// wantStill holds that an error names just these, and the changes or not.
func wantStill(t *testing.T, err error, changes bool, ids ...string) {
	t.Helper()
	still, ok := errors.AsType[*StillRunningError](err)
	if !ok || !slices.Equal(still.TenantIDs, ids) || still.Changes != changes {
		t.Errorf("got %v, want %q still running, and of the changes %t", err, ids, changes)
	}
}

// TestW03CallsOfEveryThatIgnoreTheirCtxHoldUpNobody: as many calls as there are places ignore that their time is over, and
// all others have their ticks; the stuck ones are named in the log once, and by the error at the end.
func TestW03CallsOfEveryThatIgnoreTheirCtxHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		release := make(chan struct{})
		cfg := EveryConfig{Limit: 2, Timeout: time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		r := startRota(t, time.Minute, cfg, func(_ context.Context, id string) error {
			if strings.HasPrefix(id, "stuck") {
				<-release
				panic("oh") // whatever it does in the end
			}
			return nil
		})
		r.add("stuck-1", "stuck-0")
		for i := range 18 {
			r.add(fmt.Sprint("good-", i))
		}
		time.Sleep(time.Hour)
		for i := range 18 {
			if n := len(r.startsOf(fmt.Sprint("good-", i))); n < 59 {
				t.Errorf("good-%d had %d ticks in an hour", i, n)
			}
		}
		for _, id := range []string{"stuck-0", "stuck-1"} {
			if n := len(r.startsOf(id)); n != 1 {
				t.Errorf("%s was begun %d times", id, n)
			}
			if n := strings.Count(log.String(), `level=WARN msg="a tick of a tenant was cancelled and does not end" tenant_id=`+id+" grace=10s"); n != 1 {
				t.Errorf("%s is named %d times in the log: %s", id, n, &log)
			}
			if !strings.Contains(log.String(), `msg="a tick of a tenant is late: the one before still runs" tenant_id=`+id) {
				t.Errorf("it is not told that ticks of %s are late", id)
			}
		}
		r.ticks()
		stopped := time.Now()
		err := r.stop()
		wantStill(t, err, false, "stuck-0", "stuck-1")
		if want := "every interval: still running after the grace: the work of stuck-0, stuck-1"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if took := time.Since(stopped); took != 10*time.Second {
			t.Errorf("returned after %s", took)
		}
		close(release)
		ticks := r.ticks()
		if len(ticks) != 2 || ticks[0].Took < 59*time.Minute || ticks[0].Late < 58 || !strings.Contains(fmt.Sprint(ticks[0].Err), "panic: oh") {
			t.Errorf("told of %+v when those ended that were left behind", ticks)
		}
	})
}

func TestACallThatOverstaysAndEndsHasTicksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := EveryConfig{Limit: 1, Timeout: time.Second, StopGrace: 2 * time.Second}
		r := startRota(t, time.Minute, cfg, func(_ context.Context, id string) error {
			if id == "slow" {
				time.Sleep(90 * time.Second)
			}
			return nil
		})
		r.add("slow", "quick")
		time.Sleep(10 * time.Minute)
		if slow, quick := len(r.startsOf("slow")), len(r.startsOf("quick")); slow != 5 || quick != 10 || r.atOnce != 1 {
			t.Errorf("in ten minutes %d and %d ticks, %d at once", slow, quick, r.atOnce)
		}
		r.remove("slow")
		time.Sleep(2 * time.Minute)
		if err := r.stop(); err != nil {
			t.Errorf("nothing runs, and it returned %v", err)
		}
	})
}

// TestTheGraceBeginsWhenItsTenantGoes, without any Timeout; and a tenant that comes again waits for its old call.
func TestTheGraceBeginsWhenItsTenantGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := startRota(t, time.Minute, EveryConfig{Limit: 1, StopGrace: 5 * time.Minute}, func(ctx context.Context, id string) error {
			if id == "stuck" {
				<-release
				return errors.New("of a tenant that was away")
			}
			return nil
		})
		r.add("stuck")
		r.until("stuck", 0)
		r.add("other")
		time.Sleep(time.Hour)
		if n := len(r.startsOf("other")); n != 0 {
			t.Errorf("%d ticks while the only place was taken", n)
		}
		r.remove("stuck")
		time.Sleep(5*time.Minute - time.Millisecond)
		if n := len(r.startsOf("other")); n != 0 {
			t.Errorf("%d ticks before the grace was over", n)
		}
		time.Sleep(2 * time.Minute)
		if n := len(r.startsOf("other")); n < 2 {
			t.Errorf("%d ticks after it", n)
		}
		r.ticks()
		r.add("stuck")
		time.Sleep(3 * time.Minute)
		if n := len(r.startsOf("stuck")); n != 1 {
			t.Errorf("%d calls, though the first has not ended", n)
		}
		close(release)
		time.Sleep(time.Minute)
		if n := len(r.startsOf("stuck")); n != 2 {
			t.Errorf("%d calls after the first has ended", n)
		}
		ticks := r.ticks()
		if at := slices.IndexFunc(ticks, func(tick Tick) bool { return tick.TenantID == "stuck" }); at < 0 || ticks[at].Err != nil {
			t.Errorf("what the old call returned is a failure: %+v", ticks)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestTheErrorOfATimedOutCallWhoseTenantHasGoneIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cfg := EveryConfig{Timeout: time.Second, StopGrace: 5 * time.Second}
		r := startRota(t, time.Minute, cfg, func(context.Context, string) error {
			<-release
			return errors.New("no such database")
		})
		r.add("ending", "overstays")
		r.until("overstays", 0)
		time.Sleep(time.Minute)
		r.remove("ending", "overstays")
		close(release)
		for _, tick := range r.ticks() {
			if tick.Err != nil {
				t.Errorf("told of %+v", tick)
			}
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestEveryWaitsForItsCallsForTheGraceAndNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		release := make(chan struct{})
		cfg := EveryConfig{Limit: 3, StopGrace: 30 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		r := startRota(t, time.Minute, cfg, func(ctx context.Context, id string) error {
			<-ctx.Done()
			if id == "slow" {
				time.Sleep(20 * time.Second)
				return nil
			}
			<-release
			return ctx.Err()
		})
		r.add("stuck", "slow", "gone")
		time.Sleep(2 * time.Minute)
		r.remove("gone")
		time.Sleep(time.Minute)
		r.ticks()
		stopped := time.Now()
		wantStill(t, r.stop(), false, "gone", "stuck")
		if took := time.Since(stopped); took != 30*time.Second {
			t.Errorf("returned after %s", took)
		}
		if n := strings.Count(log.String(), "was cancelled and does not end"); n != 2 {
			t.Errorf("%d are named in the log: %s", n, &log)
		}
		if ticks := r.ticks(); len(ticks) != 1 || ticks[0].TenantID != "slow" {
			t.Errorf("told of %+v before Every has returned", ticks)
		}
		close(release)
		if ticks := r.ticks(); len(ticks) != 2 || ticks[0].Err != nil || ticks[1].Err != nil {
			t.Errorf("told of %+v after it", ticks)
		}
	})
}

func TestEverySaysThatItsChangesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		release := make(chan struct{})
		began := time.Now()
		err := Every(ctx, time.Minute, func(yield func(tenant.Change) bool) {
			<-release
			panic("too late for anybody to hear")
		}, func(context.Context, string) error { return nil }, EveryConfig{})
		wantStill(t, err, true)
		if took := time.Since(began); took != time.Hour+10*time.Second {
			t.Errorf("returned after %s", took)
		}
		close(release)
	})
}

func TestEverySaysBothThatItsChangesPanickedAndWhoGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		err := Every(t.Context(), time.Minute, func(yield func(tenant.Change) bool) {
			yield(tenant.Change{Kind: tenant.Added, TenantID: "stuck"})
			time.Sleep(time.Minute)
			panic("boom")
		}, func(context.Context, string) error { <-release; return nil }, EveryConfig{})
		wantStill(t, err, false, "stuck")
		if panicked, ok := errors.AsType[*PanicError](err); !ok || panicked.Value != "boom" {
			t.Errorf("got %v", err)
		}
		close(release)
	})
}

// TestAfterAPauseACallHasItsGrace: a process that stands still for longer than Timeout and StopGrace has given the call no
// time to end.
func TestAfterAPauseACallHasItsGrace(t *testing.T) {
	r := newRoll(newTimetable(time.Minute, time.Now()), time.Second, 10*time.Second)
	r.apply(0, "acme", newsItem{id: "acme", active: true})
	s := r.seats["acme"]
	begun, pause := s.due, time.Hour
	r.turn(begun, s)
	r.begin(begun, func(error) {})
	if at, _ := r.next(); at != begun+time.Second {
		t.Errorf("looks at %s, want the end of the time of the call", at)
	}
	if late := r.expire(begun + pause); late != nil {
		t.Error("the call overstays at once")
	}
	for s.due < begun+2*pause { // so that only its grace is ahead
		r.turn(s.due, s)
	}
	if at, _ := r.next(); at != begun+pause+10*time.Second {
		t.Errorf("looks at %s, want the end of its grace", at)
	}
	if late := r.expire(begun + pause + 10*time.Second); late != s || r.counted() != 0 || r.unfinished() != 1 {
		t.Errorf("%v overstays after it, %d of %d count", late, r.counted(), r.unfinished())
	}
}

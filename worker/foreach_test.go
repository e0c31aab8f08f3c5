package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

// journal is what happened, as tests write it down from many goroutines.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) addf(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := j.all(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func ids(n int) []string {
	var all []string
	for i := range n {
		all = append(all, "t"+strconv.Itoa(i))
	}
	return all
}

func each(ids ...string) iter.Seq[string] { return slices.Values(ids) }

func TestForEachGoesOverAllInOrderAndSeveralAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log journal
		began := time.Now()
		err := worker.ForEach(t.Context(), each("a", "b", "c", "d", "e"), func(_ context.Context, id string) error {
			log.addf("%s at %s", id, time.Since(began))
			time.Sleep(time.Second + time.Duration(id[0]-'a')*time.Millisecond) // so that they end one after the other
			return nil
		}, worker.ForEachConfig{Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		lines := log.all()
		slices.Sort(lines[:2]) // which of two goroutines is the first is open
		if want := []string{"a at 0s", "b at 0s", "c at 1s", "d at 1.001s", "e at 2.002s"}; !slices.Equal(lines, want) {
			t.Errorf("got %q, want %q", lines, want)
		}
	})
}

func TestForEachHasALimitThatWasNotGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		live, most := 0, 0
		err := worker.ForEach(t.Context(), each(ids(5*runtime.GOMAXPROCS(0))...), func(context.Context, string) error {
			mu.Lock()
			live++
			most = max(most, live)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			live--
			mu.Unlock()
			return nil
		}, worker.ForEachConfig{})
		if want := runtime.GOMAXPROCS(0); err != nil || most != want {
			t.Errorf("%d at a time, %v; want %d", most, err, want)
		}
	})
}

func TestForEachTakesSpellingsOfOneIDForOneTenant(t *testing.T) {
	var log journal
	err := worker.ForEach(t.Context(), each("6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F9012", "acme", "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012", "acme", "Acme"),
		func(_ context.Context, id string) error { log.addf("%s", id); return nil }, worker.ForEachConfig{Limit: 1})
	if err != nil {
		t.Error(err)
	}
	log.expect(t, "6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F9012", "acme", "Acme")
}

func TestForEachOfNobodyIsDone(t *testing.T) {
	if err := worker.ForEach(t.Context(), each(), func(context.Context, string) error { return nil }, worker.ForEachConfig{}); err != nil {
		t.Error(err)
	}
}

type exactError struct{ code int }

func (e *exactError) Error() string { return "code " + strconv.Itoa(e.code) }

func TestForEachJoinsErrorsThatNameTenants(t *testing.T) {
	var done journal
	err := worker.ForEach(t.Context(), each("good", "plain", "typed", "thrown", "thrown-error", "exit", "better"), func(_ context.Context, id string) error {
		switch id {
		case "plain":
			return fmt.Errorf("read: %w", fs.ErrNotExist)
		case "typed":
			return &exactError{7}
		case "thrown":
			panic("boom")
		case "thrown-error":
			panic(fs.ErrClosed)
		case "exit":
			runtime.Goexit()
		}
		done.addf("%s", id)
		return nil
	}, worker.ForEachConfig{Limit: 1})
	done.expect(t, "good", "better")

	pass, ok := errors.AsType[*worker.PassError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	var failed []string
	for _, failure := range pass.Failed {
		failed = append(failed, failure.Error())
	}
	want := []string{
		"tenant plain: read: file does not exist", "tenant typed: code 7", "tenant thrown: panic: boom",
		"tenant thrown-error: panic: file already closed", "tenant exit: the goroutine was ended by runtime.Goexit",
	}
	if !slices.Equal(failed, want) || pass.Total != 7 || pass.NotRun != 0 || pass.Stopped != nil {
		t.Errorf("got %q in %+v, want %q", failed, pass, want)
	}
	if text := err.Error(); text != "the work of 5 of 7 tenants failed; "+strings.Join(want, "; ") {
		t.Errorf("text %q", text)
	}
	if typed, ok := errors.AsType[*exactError](err); !ok || typed.code != 7 {
		t.Error("errors.As does not find the typed one")
	}
	if first, ok := errors.AsType[*worker.TenantError](err); !ok || first.TenantID != "plain" {
		t.Errorf("the first TenantError is %v", first)
	}
	for _, target := range []error{fs.ErrNotExist, fs.ErrClosed} {
		if !errors.Is(err, target) {
			t.Errorf("errors.Is does not find %v", target)
		}
	}
	for _, failure := range pass.Failed[2:] {
		panicked, ok := errors.AsType[*worker.PanicError](failure)
		if !ok || !strings.Contains(string(panicked.Stack), "TestForEachJoinsErrorsThatNameTenants") {
			t.Errorf("%v has no stack, or not that of the work", failure)
		}
	}
}

func TestPassErrorShowsTen(t *testing.T) {
	err := worker.ForEach(t.Context(), each(ids(100)...), func(context.Context, string) error { return fs.ErrInvalid }, worker.ForEachConfig{})
	text := err.Error()
	if n := strings.Count(text, "tenant t"); n != 10 || !strings.HasSuffix(text, "; and 90 more") || !strings.HasPrefix(text, "the work of 100 of 100 tenants failed; tenant t0: ") {
		t.Errorf("%d are shown in %q", n, text)
	}
}

func TestForEachEndsTheCtxOfATenantThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := worker.ForEach(t.Context(), each("slow", "quick", "later"), func(ctx context.Context, id string) error {
			if id == "quick" {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}, worker.ForEachConfig{Limit: 1, Timeout: time.Minute})
		pass, ok := errors.AsType[*worker.PassError](err)
		if !ok || len(pass.Failed) != 2 || !errors.Is(pass.Failed[1], context.DeadlineExceeded) || pass.Failed[1].TenantID != "later" || pass.Stopped != nil {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func TestForEachStopsWithItsCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("the house is on fire")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		time.AfterFunc(1500*time.Millisecond, func() { cancel(why) })
		began := time.Now()
		var log journal
		err := worker.ForEach(ctx, each(ids(10)...), func(ctx context.Context, id string) error {
			log.addf("%s", id)
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				time.Sleep(time.Hour) // one that does not heed it at once is waited for
				return ctx.Err()
			}
		}, worker.ForEachConfig{Limit: 2, StopGrace: 2 * time.Hour})
		if n := len(log.all()); n != 4 {
			t.Errorf("%d were begun, want 4", n)
		}
		pass, ok := errors.AsType[*worker.PassError](err)
		if !ok || pass.NotRun != 6 || pass.Total != 10 || len(pass.Failed) != 2 {
			t.Fatalf("got %v", err)
		}
		if !errors.Is(pass.Stopped, context.Canceled) || !errors.Is(err, why) {
			t.Errorf("stopped by %v", pass.Stopped)
		}
		if want := "6 of 10 tenants were not begun: context canceled: the house is on fire; the work of 2 of 10 tenants failed; tenant t2: "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("text %q, want %q", err, want)
		}
		if took := time.Since(began); took != time.Hour+1500*time.Millisecond {
			t.Errorf("returned after %s", took)
		}
	})
}

func TestForEachThatIsStoppedBeforeItBeginsRunsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := worker.ForEach(ctx, each("a", "b"), func(context.Context, string) error { t.Error("run"); return nil }, worker.ForEachConfig{})
	if err == nil || err.Error() != "2 of 2 tenants were not begun: context canceled" || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestForEachThatWasDoneWhenItsCtxEndedIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := worker.ForEach(ctx, each("a"), func(context.Context, string) error { cancel(); return nil }, worker.ForEachConfig{}); err != nil {
		t.Error(err)
	}
}

func TestForEachWasNotStoppedWhenAllWereBegun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := worker.ForEach(ctx, each("a"), func(context.Context, string) error { cancel(); return fs.ErrInvalid }, worker.ForEachConfig{})
	if pass, ok := errors.AsType[*worker.PassError](err); !ok || pass.Stopped != nil || pass.NotRun != 0 || len(pass.Failed) != 1 {
		t.Errorf("got %v", err)
	}
}

// activeSet is a set of tenants that shrinks.
type activeSet struct {
	mu   sync.Mutex
	gone map[string]bool
}

func (s *activeSet) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone == nil {
		s.gone = map[string]bool{}
	}
	s.gone[id] = true
}

func (s *activeSet) IsActive(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.gone[id]
}

func TestForEachPassesOverATenantThatHasGone(t *testing.T) {
	var set activeSet
	var log journal
	err := worker.ForEach(t.Context(), each("a", "b", "c"), func(_ context.Context, id string) error {
		log.addf("%s", id)
		set.remove("b")
		return nil
	}, worker.ForEachConfig{Limit: 1, Active: set.IsActive, Progress: func(done, total int) { log.addf("%d of %d", done, total) }})
	if err != nil {
		t.Error(err)
	}
	log.expect(t, "a", "1 of 3", "2 of 3", "c", "3 of 3")
}

func TestW01ForEachCancelsTheWorkForATenantThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set activeSet
		var log journal
		var gone time.Time
		time.AfterFunc(10*time.Minute+time.Millisecond, func() { gone = time.Now(); set.remove("a") })
		err := worker.ForEach(t.Context(), each("a", "b"), func(ctx context.Context, id string) error {
			select {
			case <-ctx.Done():
				if late := time.Since(gone); late > time.Second {
					t.Errorf("cancelled after %s", late)
				}
				log.addf("%s: %v", id, context.Cause(ctx))
				return ctx.Err()
			case <-time.After(time.Hour):
				log.addf("%s is done", id)
				return nil
			}
		}, worker.ForEachConfig{Limit: 2, Active: set.IsActive})
		if err != nil {
			t.Errorf("that a tenant goes is not an error of the pass: %v", err)
		}
		log.expect(t, "a: the tenant was removed", "b is done")
	})
}

func TestForEachForgivesWhoHasGoneUnlessItPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set activeSet
		err := worker.ForEach(t.Context(), each("a", "b", "stays"), func(_ context.Context, id string) error {
			switch id {
			case "a":
				set.remove(id)
				return errors.New("the database of a has gone") // before anybody has looked
			case "b":
				set.remove(id)
				time.Sleep(time.Second) // and after
				panic("oh")
			default:
				return errors.New("mine")
			}
		}, worker.ForEachConfig{Active: set.IsActive, Limit: 3})
		if want := "the work of 2 of 3 tenants failed; tenant b: panic: oh; tenant stays: mine"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

func TestForEachTellsItsProgressOneAfterTheOther(t *testing.T) {
	var told []int // the race detector watches it
	err := worker.ForEach(t.Context(), each(ids(200)...), func(_ context.Context, id string) error {
		if strings.HasSuffix(id, "7") {
			return fs.ErrInvalid
		}
		return nil
	}, worker.ForEachConfig{Limit: 16, Progress: func(done, total int) {
		if total != 200 {
			t.Errorf("total %d", total)
		}
		told = append(told, done)
	}})
	if err == nil {
		t.Error("none has failed")
	}
	for i, done := range told {
		if done != i+1 {
			t.Fatalf("told %v", told)
		}
	}
	if len(told) != 200 {
		t.Errorf("told %d times", len(told))
	}
}

func TestForEachNamesWhatMakesNoSense(t *testing.T) {
	err := worker.ForEach(t.Context(), nil, nil, worker.ForEachConfig{Limit: -1, Timeout: -1, StopGrace: -1})
	if want := "for each tenant: work is missing; Limit is negative; Timeout is negative; StopGrace is negative; tenantIDs is missing"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const uuidDashed, uuidBare = "6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F9012", "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012"

func TestEveryTenantHasATickInEachIntervalAtItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRota(t, time.Minute, EveryConfig{}, nil)
		all := []string{"acme", "globex", "initech", uuidDashed}
		r.add(all...)
		r.add(uuidBare) // the same in another spelling
		time.Sleep(10 * time.Minute)
		times := map[time.Duration]bool{}
		for _, id := range all {
			starts := r.startsOf(id)
			if len(starts) != 10 || starts[0] >= time.Minute {
				t.Fatalf("%s ran at %v", id, starts)
			}
			for n, start := range starts {
				if want := r.table.phase(tenant.CanonicalID(id)) + time.Duration(n)*time.Minute; start != want {
					t.Errorf("%s ran at %s, want %s", id, start, want)
				}
			}
			times[starts[0]] = true
		}
		if len(times) != len(all) {
			t.Errorf("%d tenants have %d times", len(all), len(times))
		}
		for _, tick := range r.ticks() {
			if tick.Err != nil || tick.Late != 0 {
				t.Errorf("%+v", tick)
			}
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestATenantThatComesLaterHasTheTimesItHasAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRota(t, time.Minute, EveryConfig{}, nil)
		time.Sleep(17*time.Minute + 3*time.Second)
		r.add("acme")
		time.Sleep(time.Minute)
		if starts := r.startsOf("acme"); len(starts) != 1 || (starts[0]-r.table.phase("acme"))%time.Minute != 0 {
			t.Errorf("ran at %v, and its first tick would have been at %s", starts, r.table.phase("acme"))
		}
		r.remove("acme")
		time.Sleep(time.Hour)
		if starts := r.startsOf("acme"); len(starts) != 1 {
			t.Errorf("ran at %v, though it is gone", starts)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestALateTickIsSkippedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := startRota(t, time.Minute, EveryConfig{StopGrace: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(_ context.Context, id string) error {
			if id == "slow" {
				time.Sleep(5*time.Minute + time.Second)
			}
			return nil
		})
		r.add("slow", "quick")
		r.until("slow", 12)
		phase := r.table.phase("slow")
		if starts, want := r.startsOf("slow"), []time.Duration{phase, phase + 6*time.Minute, phase + 12*time.Minute}; !slices.Equal(starts, want) {
			t.Errorf("ran at %v, want %v", starts, want)
		}
		if n := len(r.startsOf("quick")); n < 12 {
			t.Errorf("another one ran %d times in 12 minutes", n)
		}
		var slow []Tick
		for _, tick := range r.ticks() {
			if tick.TenantID == "slow" {
				slow = append(slow, tick)
			}
		}
		want := Tick{TenantID: "slow", Took: 5*time.Minute + time.Second, Late: 5}
		if !slices.Equal(slow, []Tick{want, want}) {
			t.Errorf("told of %+v, want twice %+v", slow, want)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), `msg="a tick of a tenant is late: the one before still runs" tenant_id=slow`); n != 6 { // at 1, 2 and 4, twice
			t.Errorf("%d lines of the log: %s", n, &log)
		}
	})
}

func TestW01EveryCancelsTheTickOfATenantThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var causes []error
		r := startRota(t, time.Minute, EveryConfig{StopGrace: time.Hour}, func(ctx context.Context, _ string) error {
			<-ctx.Done()
			causes = append(causes, context.Cause(ctx))
			time.Sleep(10 * time.Minute)
			return ctx.Err()
		})
		r.add("acme")
		r.until("acme", 0)
		r.remove("acme")
		if !slices.Equal(causes, []error{ErrRemoved}) {
			t.Fatalf("the tick was cancelled by %v at once", causes)
		}
		r.add("acme") // while the old one has not ended yet; rota sees a second one
		time.Sleep(9 * time.Minute)
		if n := len(r.startsOf("acme")); n != 1 {
			t.Errorf("%d have begun while the first has not ended", n)
		}
		time.Sleep(2 * time.Minute)
		if n := len(r.startsOf("acme")); n != 2 {
			t.Errorf("%d have begun, want another one after the first has ended", n)
		}
		if ticks := r.ticks(); len(ticks) != 1 || ticks[0].Err != nil || ticks[0].Late != 9 && ticks[0].Late != 10 {
			t.Errorf("told of %+v", ticks)
		}
		r.send(tenant.Reconfigured, "acme")
		if len(causes) != 1 {
			t.Error("a tick was cancelled because its tenant was reconfigured")
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if len(causes) != 2 || !errors.Is(causes[1], ErrStopping) {
			t.Errorf("the causes are %v", causes)
		}
	})
}

func TestATenantThatGoesAndComesAtOnceHasItsTickCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled := 0
		r := startRota(t, time.Minute, EveryConfig{}, func(ctx context.Context, _ string) error {
			<-ctx.Done()
			cancelled++
			return ctx.Err()
		})
		r.add("acme")
		r.until("acme", 0)
		n := newNews()
		for _, kind := range []tenant.Kind{tenant.Added, tenant.Removed, tenant.Added} {
			n.put(tenant.Change{Kind: kind, TenantID: "acme"})
		}
		if item := n.take()["acme"]; item != (newsItem{id: "acme", active: true, went: true}) {
			t.Errorf("folded to %+v", item)
		}
		r.changes <- tenant.Change{Kind: tenant.Removed, TenantID: "acme"} // the owner has no time in between
		r.add("acme")
		if cancelled != 1 {
			t.Errorf("%d ticks were cancelled", cancelled)
		}
		r.until("acme", 1)
		if n := len(r.startsOf("acme")); n != 2 {
			t.Errorf("%d ticks", n)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestW03WhatFailsHasItsNextTickAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := EveryConfig{Timeout: 10 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil)), Ended: func(tick Tick) {
			switch tick.TenantID {
			case "told-panic":
				panic("Ended")
			case "told-exit":
				runtime.Goexit()
			}
		}}
		r := startRota(t, time.Minute, cfg, func(ctx context.Context, id string) error {
			switch id {
			case "error":
				return fs.ErrNotExist
			case "panic":
				panic("boom")
			case "exit":
				runtime.Goexit()
			case "timeout":
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		})
		all := []string{"error", "panic", "exit", "timeout", "told-panic", "told-exit", "good"}
		r.add(all...)
		time.Sleep(10*time.Minute + 11*time.Second)
		for _, id := range all {
			if n := len(r.startsOf(id)); n < 10 {
				t.Errorf("%s had %d ticks in 10 minutes", id, n)
			}
		}
		want := map[string]string{
			"error": "tenant error: file does not exist", "panic": "tenant panic: " + "panic: boom",
			"exit": "tenant exit: the goroutine was ended by runtime.Goexit", "timeout": "tenant timeout: context deadline exceeded",
		}
		for _, tick := range r.ticks() {
			if got := fmt.Sprint(tick.Err); got != want[tick.TenantID] && want[tick.TenantID] != "" || want[tick.TenantID] == "" && tick.Err != nil {
				t.Errorf("%s: %s", tick.TenantID, got)
			}
			if failure, ok := errors.AsType[*TenantError](tick.Err); tick.Err != nil && (!ok || failure.TenantID != tick.TenantID) {
				t.Errorf("%T", tick.Err)
			}
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		for _, line := range []string{
			`msg="a tick of a tenant failed" tenant_id=error error="file does not exist"`,
			`msg="a tick of a tenant failed" tenant_id=panic error="panic: boom" stack="goroutine`,
			`msg="a tick of a tenant failed" tenant_id=exit error="the goroutine was ended by runtime.Goexit" stack="goroutine`,
			`msg="the callback of a tick panicked" tenant_id=told-panic error="panic: Ended" stack="goroutine`,
			`msg="the callback of a tick panicked" tenant_id=told-exit`,
		} {
			if !strings.Contains(log.String(), line) {
				t.Errorf("the log has no line with %s", line)
			}
		}
	})
}

func TestParallelBoundsTheTicksThatRunAndTheOthersWaitInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := startRota(t, time.Minute, EveryConfig{Limit: 2, StopGrace: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(context.Context, string) error {
			time.Sleep(50 * time.Second)
			return nil
		})
		all := []string{"a", "b", "c", "d", "e", "f"} // a round takes 150 s
		r.add(all...)
		time.Sleep(time.Hour)
		synctest.Wait()
		if r.atOnce != 2 {
			t.Errorf("%d ran at once", r.atOnce)
		}
		for _, id := range all {
			starts := r.startsOf(id)
			for n := range starts[1:] {
				if apart := starts[n+1] - starts[n]; apart > 4*time.Minute {
					t.Errorf("%s waited for %s", id, apart)
				}
			}
			if len(starts) < 20 {
				t.Errorf("%s ran %d times", id, len(starts))
			}
		}
		late := 0
		for _, tick := range r.ticks() {
			late += tick.Late
		}
		if late < 200 || late > 230 { // 6 tenants have 360 ticks; 2 at a time can do 144
			t.Errorf("%d were late", late)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "too many wait in line for Limit"); n < 50 || n > 60 {
			t.Errorf("%d lines in an hour: %s", n, &log)
		}
	})
}

func TestWhoGoesWhileInLineIsNotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := startRota(t, time.Minute, EveryConfig{Limit: 1, StopGrace: time.Hour}, func(context.Context, string) error {
			time.Sleep(10 * time.Minute)
			return nil
		})
		r.add("first")
		r.until("first", 0)
		r.add("goes", "stays")
		time.Sleep(time.Minute) // both are in line
		r.remove("goes")
		time.Sleep(21 * time.Minute)
		if goes, stays := r.startsOf("goes"), r.startsOf("stays"); len(goes) != 0 || len(stays) == 0 {
			t.Errorf("the one that went ran at %v, the other at %v", goes, stays)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestNothingIsKeptOfWhoHasGone(t *testing.T) {
	r := newRoll(newTimetable(time.Minute, time.Now()), 0, time.Second)
	all := []string{"runs", "in line", "idle"}
	for _, id := range all {
		r.apply(0, id, newsItem{id: id, active: true})
		if s := r.seats[id]; id != "idle" {
			r.turn(s.due, s)
		}
	}
	runs := r.begin(0, func(error) {})
	for _, id := range all {
		r.apply(0, id, newsItem{id: id, went: true})
	}
	if len(r.seats) != 1 || len(r.heap) != 0 || r.in[seatInLine].Len() != 0 {
		t.Errorf("%d seats, %d in the heap, %d in line; want that of the one that runs", len(r.seats), len(r.heap), r.in[seatInLine].Len())
	}
	if r.end(0, runs); len(r.seats) != 0 {
		t.Errorf("%d are kept when it has ended", len(r.seats))
	}
}

func TestEverySaysThatItsChangesPanicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := func(yield func(tenant.Change) bool) {
			yield(tenant.Change{Kind: tenant.Added, TenantID: "a"})
			panic("boom")
		}
		err := Every(t.Context(), time.Minute, changes, func(context.Context, string) error { return nil }, EveryConfig{})
		if err == nil || err.Error() != "every interval: read changes: panic: boom" {
			t.Errorf("got %v", err)
		}
	})
}

func TestEveryNamesWhatMakesNoSense(t *testing.T) {
	var none iter.Seq[tenant.Change]
	err := Every(t.Context(), 0, none, nil, EveryConfig{Limit: -1, Timeout: -1, StopGrace: -1})
	want := "every interval: work is missing; Limit is negative; Timeout is negative; StopGrace is negative; interval is not above zero; changes is missing"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

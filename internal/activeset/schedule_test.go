package activeset

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	const spread = time.Second
	for _, tc := range []struct {
		name     string
		failures int
		failure  Failure
		min, max time.Duration
	}{
		{"first failure", 0, Failure{}, spread, spread},
		{"third", 2, Failure{}, spread, 4 * time.Second},
		{"many", 500, Failure{}, spread, longestBackoff},
		{"key refused", 0, Failure{Hopeless: true}, longestBackoff / 2, longestBackoff},
		{"asked for 7 s", 0, Failure{Delay: 7 * time.Second}, 7 * time.Second, 7*time.Second + spread},
		{"asked for ten years", 0, Failure{Delay: 10 * 365 * 24 * time.Hour}, longestRetryAfter, longestRetryAfter + spread},
		{"asked for the past", 0, Failure{Delay: -time.Hour}, spread, spread},
	} {
		t.Run(tc.name, func(t *testing.T) {
			now := time.Now()
			for range 200 {
				s := schedule{dice: rand.N[time.Duration], failures: tc.failures, lastBegin: now}
				s.failed(now, tc.failure, spread)
				if wait := s.due().Sub(now); wait < tc.min || wait > tc.max {
					t.Fatalf("waits %v, want %v to %v", wait, tc.min, tc.max)
				}
			}
		})
	}
}

// Two of the longest durations are not added.
func TestX26TheLongestSpread(t *testing.T) {
	now, asked := time.Now(), time.Minute
	for range 200 {
		s := schedule{dice: rand.N[time.Duration]}
		if s.failed(now, Failure{Delay: asked}, math.MaxInt64); s.notBefore.Before(now.Add(asked)) {
			t.Fatalf("it is asked again at %s, and the manager asked for %s", s.notBefore, asked)
		}
	}
}

func TestGapIsReconciledWithinSpread(t *testing.T) {
	now := time.Now()
	early := false
	for range 200 {
		s := schedule{dice: rand.N[time.Duration], periodic: now.Add(time.Hour), lastBegin: now.Add(-time.Hour)}
		s.gapOpened(now, time.Second)
		wait := s.due().Sub(now)
		if wait < 0 || wait > time.Second {
			t.Fatalf("waits %v", wait)
		}
		early = early || wait < 500*time.Millisecond
		before := s.due()
		s.gapOpened(now.Add(time.Second/2), time.Second)
		if !s.due().Equal(before) {
			t.Fatal("a second gap put it off")
		}
	}
	if !early {
		t.Error("all of 200 wait longer than half the spread")
	}
}

func TestGapsAreRateLimited(t *testing.T) {
	now := time.Now()
	s := schedule{dice: rand.N[time.Duration], periodic: now.Add(time.Hour), lastBegin: now, spread: time.Second}
	s.gapOpened(now.Add(time.Millisecond), time.Second)
	if wait := s.due().Sub(now); wait < time.Second || wait > time.Second+time.Millisecond {
		t.Errorf("the next request begins %v after the last", wait)
	}
}

// TestFeedLossNeverPutsOff: the deadline is absolute, a feed that goes down again and again must not push it away.
func TestFeedLossNeverPutsOff(t *testing.T) {
	now := time.Now()
	s := schedule{dice: rand.N[time.Duration], periodic: now.Add(time.Hour)}
	s.feedLost(now, 10*time.Second)
	due := s.due()
	if wait := due.Sub(now); wait < 8*time.Second || wait > 12*time.Second {
		t.Fatalf("polls after %v", wait)
	}
	for i := range 10 {
		s.feedLost(now.Add(time.Duration(i)*time.Second), time.Minute)
	}
	if !s.due().Equal(due) {
		t.Error("the poll was put off")
	}
}

func TestRefreshIsDueAtOnce(t *testing.T) {
	s := schedule{dice: rand.N[time.Duration], periodic: time.Now().Add(time.Hour), failures: 3, notBefore: time.Now().Add(time.Hour), refresh: true}
	if time.Until(s.due()) > 0 {
		t.Error("a refresh waits")
	}
}

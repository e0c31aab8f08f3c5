package discovery

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

type statusError struct {
	status int
	delay  time.Duration
}

func (e statusError) Error() string             { return fmt.Sprint("status ", e.status) }
func (e statusError) HTTPStatus() int           { return e.status }
func (e statusError) RetryDelay() time.Duration { return e.delay }

func TestBackoff(t *testing.T) {
	const spread = time.Second
	for _, tc := range []struct {
		name     string
		failures int
		err      error
		min, max time.Duration
	}{
		{"first failure", 0, errors.New("down"), spread, spread},
		{"third", 2, errors.New("down"), spread, 4 * time.Second},
		{"many", 500, errors.New("down"), spread, longestBackoff},
		{"key refused", 0, fmt.Errorf("wrapped: %w", statusError{status: 401}), longestBackoff / 2, longestBackoff},
		{"not allowed", 0, statusError{status: 403}, longestBackoff / 2, longestBackoff},
		{"asked for 7 s", 0, statusError{status: 503, delay: 7 * time.Second}, 7 * time.Second, 7*time.Second + spread},
		{"asked for ten years", 0, statusError{status: 429, delay: 10 * 365 * 24 * time.Hour}, longestRetryAfter, longestRetryAfter + spread},
		{"asked for the past", 0, statusError{status: 429, delay: -time.Hour}, spread, spread},
	} {
		t.Run(tc.name, func(t *testing.T) {
			now := time.Now()
			for range 200 {
				s := schedule{failures: tc.failures, lastBegin: now}
				s.failed(now, enter(tc.err), spread)
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
		s := schedule{}
		if s.failed(now, enter(statusError{status: 503, delay: asked}), math.MaxInt64); s.notBefore.Before(now.Add(asked)) {
			t.Fatalf("it is asked again at %s, and the manager asked for %s", s.notBefore, asked)
		}
	}
}

func TestGapIsReconciledWithinSpread(t *testing.T) {
	now := time.Now()
	early := false
	for range 200 {
		s := schedule{periodic: now.Add(time.Hour), lastBegin: now.Add(-time.Hour)}
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
	s := schedule{periodic: now.Add(time.Hour), lastBegin: now, spread: time.Second}
	s.gapOpened(now.Add(time.Millisecond), time.Second)
	if wait := s.due().Sub(now); wait < time.Second || wait > time.Second+time.Millisecond {
		t.Errorf("the next request begins %v after the last", wait)
	}
}

// TestFeedLossNeverPutsOff: the deadline is absolute, a feed that goes down again and again must not push it away.
func TestFeedLossNeverPutsOff(t *testing.T) {
	now := time.Now()
	s := schedule{periodic: now.Add(time.Hour)}
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
	s := schedule{periodic: time.Now().Add(time.Hour), failures: 3, notBefore: time.Now().Add(time.Hour), refresh: true}
	if time.Until(s.due()) > 0 {
		t.Error("a refresh waits")
	}
}

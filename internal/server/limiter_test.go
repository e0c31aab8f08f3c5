package server

import (
	"strconv"
	"testing"
	"time"
)

func TestLimiterFillsWithTime(t *testing.T) {
	l, now := newLimiter(10), time.Now()
	for i := range 20 {
		if _, ok := l.take("a", now); !ok {
			t.Fatalf("request %d is refused, want 20 at once", i)
		}
	}
	wait, ok := l.take("a", now)
	if ok || wait != 100*time.Millisecond {
		t.Errorf("allowed %v, wait %v, want a refusal and 100 ms", ok, wait)
	}
	if _, ok := l.take("b", now); !ok {
		t.Error("another caller is refused")
	}
	if _, ok := l.take("a", now.Add(wait)); !ok {
		t.Error("refused after the wait")
	}
	if _, ok := l.take("a", now.Add(wait)); ok {
		t.Error("allowed a second one after the wait for one")
	}
}

func TestLimiterSavesNothingUp(t *testing.T) {
	l, now := newLimiter(1), time.Now()
	l.take("a", now)
	allowed := 0
	for range 100 {
		if _, ok := l.take("a", now.Add(time.Hour)); ok {
			allowed++
		}
	}
	if allowed != 2 {
		t.Errorf("%d at once after an hour, want 2", allowed)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l, now := newLimiter(1), time.Now()
	for i := range 3 * maxBuckets {
		l.take(strconv.Itoa(i), now.Add(time.Duration(i)*time.Second))
	}
	if n := len(l.buckets); n > maxBuckets {
		t.Errorf("%d buckets, want at most %d", n, maxBuckets)
	}
}

package redisevents

import (
	"bufio"
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestBackoffBounds(t *testing.T) {
	b := defaultBackoff()
	now := time.Now()
	for _, want := range []int64{50, 100, 200, 400, 800, 800, 800} {
		if wait := b.next(now); wait < 0 || wait.Milliseconds() > want || b.bound.Milliseconds() != want {
			t.Errorf("waits %s of %s, want a bound of %d ms", wait, b.bound, want)
		}
	}
	for _, want := range []int64{1600, 3200, 5000, 5000} {
		if b.next(now.Add(time.Minute)); b.bound.Milliseconds() != want {
			t.Errorf("the bound is %s, want %d ms", b.bound, want)
		}
	}
	b.reset()
	if b.next(now.Add(time.Hour)); b.bound != 50*time.Millisecond {
		t.Errorf("after a reset the bound is %s", b.bound)
	}
}

func TestBackoffHasFullJitter(t *testing.T) {
	low, high := false, false
	for range 1000 {
		b := defaultBackoff()
		wait := b.next(time.Now())
		low, high = low || wait < 10*time.Millisecond, high || wait > 40*time.Millisecond
	}
	if !low || !high {
		t.Errorf("waits below 10 ms: %t, above 40 ms: %t", low, high)
	}
}

// TestAttemptsPerMinute counts how often a feed tries when nothing works, and when every subscription is confirmed and
// then closed: after nothing at all, or after it has lived.
func TestAttemptsPerMinute(t *testing.T) {
	tests := []struct {
		name     string
		lives    time.Duration // negative: dialling fails
		low, top int           // of the first minute
	}{
		{"nothing listens", -1, 90, 260},
		{"confirmed and closed", 0, 90, 260},
		{"lived", 11 * time.Second, 5, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				feed, err := NewPubSub(Config{Host: "fake"}, environment)
				if err != nil {
					t.Fatal(err)
				}
				script := func(conn net.Conn, lines *bufio.Scanner) {
					stop := time.AfterFunc(tt.lives, func() { _ = conn.Close() })
					defer stop.Stop()
					answerPings(conn, lines)
				}
				if fakeServer(t, feed, true, script); tt.lives < 0 {
					feed.dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no") }
				}
				var got recorder
				stop := listen(t, feed, got.sink)
				time.Sleep(time.Minute)
				first := got.count(tenant.SignalLost)
				if first < tt.low || first > tt.top {
					t.Errorf("%d losses in the first minute, want %d to %d", first, tt.low, tt.top)
				}
				time.Sleep(10 * time.Minute)
				stop()
				if more := (got.count(tenant.SignalLost) - first) / 10; tt.lives <= 0 && (more < 15 || more > 40) {
					t.Errorf("%d losses a minute later on, want about 24", more)
				}
			})
		})
	}
}

// TestALongLifeEndsTheRowOfFailures fails for a while, and then lets subscriptions live longer than the silence limit:
// after each of them the next attempt comes soon.
func TestALongLifeEndsTheRowOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, err := NewPubSub(Config{Host: "fake"}, environment)
		if err != nil {
			t.Fatal(err)
		}
		fakeServer(t, feed, true, func(conn net.Conn, lines *bufio.Scanner) {
			stop := time.AfterFunc(defaultSilenceLimit+time.Second, func() { _ = conn.Close() })
			defer stop.Stop()
			answerPings(conn, lines)
		})
		up, works := feed.dial, time.Now().Add(10*time.Minute)
		feed.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if time.Now().Before(works) {
				return nil, errors.New("no")
			}
			return up(ctx, network, addr)
		}
		var lost time.Time
		longest, lives := time.Duration(0), 0
		stop := listen(t, feed, func(signal tenant.Signal) {
			if signal.Kind == tenant.SignalSubscribed {
				if lives++; lives > 1 {
					longest = max(longest, time.Since(lost))
				}
			}
			lost = time.Now() // of the last signal, which before a subscription is a loss
		})
		time.Sleep(15 * time.Minute)
		stop()
		if lives < 20 || longest > 50*time.Millisecond {
			t.Errorf("%d subscriptions, the longest wait between two was %s", lives, longest)
		}
	})
}

// TestAnAttemptTakesNoTimeOfItsOwn closes every connection at once: all the time that passes is the back-off's.
func TestAnAttemptTakesNoTimeOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, err := NewPubSub(Config{Host: "fake"}, environment)
		if err != nil {
			t.Fatal(err)
		}
		var dialled time.Time
		feed.dial = func(context.Context, string, string) (net.Conn, error) {
			dialled = time.Now()
			client, server := net.Pipe()
			go func() {
				_, _ = server.Read(make([]byte, 1024)) // so that it is closed with a question open
				_ = server.Close()
			}()
			return client, nil
		}
		stop := listen(t, feed, func(tenant.Signal) {
			if took := time.Since(dialled); took != 0 {
				t.Errorf("the attempt took %s", took)
			}
		})
		time.Sleep(time.Minute)
		stop()
	})
}

// TestSilenceLimitToTheMoment lets the server answer pings for a while and then nothing any more.
func TestSilenceLimitToTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, err := NewPubSub(Config{Host: "fake"}, environment)
		if err != nil {
			t.Fatal(err)
		}
		const answers = time.Hour
		fakeServer(t, feed, true, func(conn net.Conn, lines *bufio.Scanner) {
			mute := &muteAfter{Conn: conn, at: time.Now().Add(answers)}
			answerPings(mute, lines)
		})
		began := time.Now()
		var got recorder
		var lostAt time.Time
		stop := listen(t, feed, func(signal tenant.Signal) {
			if signal.Kind == tenant.SignalLost && lostAt.IsZero() {
				lostAt = time.Now()
			}
			got.sink(signal)
		})
		time.Sleep(answers + time.Minute)
		stop()
		lost := got.of(tenant.SignalLost)
		if len(lost) == 0 || !errors.Is(lost[0].Err, ErrSilent) {
			t.Fatalf("lost: %v", lost)
		}
		const limit = defaultSilenceLimit
		if took := lostAt.Sub(began) - answers; took < limit-limit/pingsPerLimit-time.Second || took > limit+time.Second {
			t.Errorf("lost %s after the last answer, want about %s", took, limit)
		}
	})
}

type muteAfter struct {
	net.Conn

	at time.Time
}

func (m *muteAfter) Write(p []byte) (int, error) {
	if time.Now().After(m.at) {
		return len(p), nil
	}
	return m.Conn.Write(p)
}

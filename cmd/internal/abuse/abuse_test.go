package abuse

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// attacked runs the attacks on a fake manager in a bubble, where the machine has no say in what is measured.
func attacked(t *testing.T, m *fakeManager, change func(*Config)) ([]Result, error) {
	t.Helper()
	return attackedUntil(t.Context(), t, m, change)
}

func attackedUntil(ctx context.Context, t *testing.T, m *fakeManager, change func(*Config)) ([]Result, error) {
	t.Helper()
	cfg := Config{
		Manager: serve(t, "https://manager.test", m.handler(), m),
		Decoy:   serve(t, "https://decoy.test", Decoy(10), io.Discard),
		Rounds:  1, Duration: 500 * time.Millisecond, Streams: 20, History: 4, Callers: 8,
	}
	if change != nil {
		change(&cfg)
	}
	return Run(ctx, cfg)
}

// TestX36AFairManagerPasses: all attacks reach it, and the good client feels none.
func TestX36AFairManagerPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeManager()
		results, err := attacked(t, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(results) != len(Names()) {
			t.Errorf("%d results of %d attacks", len(results), len(Names()))
		}
		for _, r := range results {
			if !r.Passed || r.Served+r.Repelled == 0 || r.Without == 0 || r.Felt < 100 {
				t.Errorf("%+v", r)
			}
		}
		if n := m.left(); n != 0 {
			t.Errorf("%d tenants and keys are left on the manager", n)
		}
	})
}

// TestX36AnUnfairManagerFails for each attack, in its own way of being unfair, and for no other.
func TestX36AnUnfairManagerFails(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				results, err := attacked(t, newFakeManager(name), func(c *Config) { c.Attacks = []string{name} })
				if err != nil || len(results) != 1 {
					t.Fatal(results, err)
				}
				if r := results[0]; r.Passed || r.Problem != "" || r.Ratio() <= Most && r.Refused == 0 {
					t.Errorf("it was not felt: %+v", r)
				}
			})
		})
	}
}

// TestX36AnAttackThatReachesNothingIsNoResult: it would pass otherwise, because the good client feels nothing.
func TestX36AnAttackThatReachesNothingIsNoResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results, err := attacked(t, newFakeManager(), func(c *Config) {
			c.Attacks = []string{"wrong-key", "lists", "resume"}
			c.Decoy.dial = func(context.Context) (net.Conn, error) { return nil, errors.New("there is no way") }
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Passed || r.Problem == "" {
				t.Errorf("it counts: %+v", r)
			}
		}
	})
}

// TestX36AManagerThatTheAttackDoesNotReachIsNoResult is the same on the other side.
func TestX36AManagerThatTheAttackDoesNotReachIsNoResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results, err := attacked(t, newFakeManager(), func(c *Config) {
			c.Attacks = []string{"readyz", "handshakes"}
			through := c.Manager.dial
			first := true
			c.Manager.dial = func(ctx context.Context) (net.Conn, error) { // the good client's is the first
				if first {
					first = false
					return through(ctx)
				}
				return nil, errors.New("there is no way")
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Passed || !strings.Contains(r.Problem, "shows nothing") || r.Served+r.Repelled != 0 {
				t.Errorf("it counts: %+v", r)
			}
		}
	})
}

// TestX36TooFewRequestsAreNoResult, unless they show that the attack was felt.
func TestX36TooFewRequestsAreNoResult(t *testing.T) {
	few := felt{took: []time.Duration{time.Second, time.Second}}
	slow := felt{took: []time.Duration{9 * time.Second, 9 * time.Second}}
	refused := felt{took: few.took, refused: 1, err: errors.New("503")}
	for name, c := range map[string]struct {
		calm, hit felt
		want      string
	}{
		"too few":                   {few, few, "problem"},
		"too few, and slow":         {few, slow, "felt"},
		"too few, and refused":      {few, refused, "felt"},
		"none":                      {felt{}, felt{}, "problem"},
		"refused without an attack": {refused, few, "problem"},
	} {
		r := (&measured{calm: []felt{c.calm}, hit: []felt{c.hit}}).result(3)
		if got := map[bool]string{true: "problem", false: "felt"}[r.Problem != ""]; r.Passed || got != c.want {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := (&measured{calm: []felt{few}, hit: []felt{few}}).result(2); !r.Passed {
		t.Errorf("enough: %+v", r)
	}
}

// TestWhatAnAttackMadeIsDeletedAlsoWhenItIsEnded by the user, and what cannot be is named.
func TestWhatAnAttackMadeIsDeletedAlsoWhenItIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeManager()
		ctx, cancel := context.WithCancel(t.Context())
		_, err := attackedUntil(ctx, t, m, func(c *Config) { c.Told = func(string, int) { cancel() } })
		if !errors.Is(err, context.Canceled) || m.left() != 0 {
			t.Errorf("%v, and %d tenants and keys are left", err, m.left())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := newFakeManager()
		_, err := attacked(t, m, func(c *Config) { c.Attacks, c.Disposable = []string{"readyz"}, true })
		if err != nil || m.left() == 0 {
			t.Errorf("%v; nobody needs to delete anything of a manager that is thrown away", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		m := newFakeManager()
		m.keeps = true
		_, err := attacked(t, m, func(c *Config) { c.Attacks = []string{"readyz"} })
		if _, ok := errors.AsType[*LeftError](err); !ok || !strings.Contains(err.Error(), "5 tenants or keys") {
			t.Errorf("what is left is not told of: %v", err)
		}
	})
}

func TestAnAttackThatThereIsNot(t *testing.T) {
	if _, err := Run(t.Context(), Config{Attacks: []string{"tanks"}}); err == nil || !strings.Contains(err.Error(), "readyz") {
		t.Errorf("%v", err)
	}
}

func TestPercentileAndMedian(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	if got := percentile(hundred); got != 100 {
		t.Errorf("percentile: %d", got)
	}
	if got := percentile(slices.Concat(hundred, hundred)); got != 100 {
		t.Errorf("percentile of two hundred: %d", got)
	}
	if percentile(nil) != 0 || median(nil) != 0 || median([]time.Duration{3, 1, 2}) != 2 {
		t.Error("of nothing, or of three")
	}
}

package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestWhoWasReconfiguredKeepsItsSlot until its next run begins, whatever that waits for: the one that is in line has work
// that does not end either, so that a slot that is lost may be lost for ever.
func TestWhoWasReconfiguredKeepsItsSlot(t *testing.T) {
	refuse := func(context.Context, string, tenant.EventType) error { return errors.New("cannot be told") }
	for _, tc := range []struct {
		name  string
		cfg   Config
		waits time.Duration // from the reconfiguration, a second after the start, to the next
	}{
		{"for the end of the news", Config{}, newsQuiet},
		{"for half of MinBackoff", Config{MinBackoff: time.Minute, MaxBackoff: time.Minute}, 29 * time.Second},
		{"for the ramp", Config{RampPerSecond: 0.1}, 9*time.Second - rampSlack},
		{"for half of MinBackoff, with a hook that fails", Config{MinBackoff: time.Minute, Reconfigured: refuse}, 29 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tc.cfg.Limit = 1
				b := start(t, tc.cfg, nil)
				b.add("a", "b")
				time.Sleep(time.Second)
				b.reconfigure("a")
				b.wants("+a -a")
				time.Sleep(tc.waits - time.Millisecond)
				b.wants("")
				time.Sleep(2 * rampSlack)
				b.wants("+a")
				b.wantStates("a running, b waiting")
				b.stop()
			})
		})
	}
}

// TestASlotThatIsKeptIsFreed when its tenant goes meanwhile, and when its run does not end in time.
func TestASlotThatIsKeptIsFreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Limit: 1}, nil)
		b.add("a", "b")
		b.reconfigure("a")
		b.wants("+a -a")
		b.remove("a")
		b.wants("+b")
		b.add("a") // which is a newcomer, and in line
		time.Sleep(time.Minute)
		b.wants("")
		b.wantStates("a waiting, b running")
		b.stop()
	})
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Limit: 1, StopGrace: time.Second}, func(ctx context.Context, id string) error {
			<-ctx.Done()
			if id == "a" {
				time.Sleep(5 * time.Second)
			}
			return nil
		})
		b.add("a", "b", "c")
		b.reconfigure("a")
		time.Sleep(time.Second)
		b.wants("+a +b") // nobody waits for longer than StopGrace
		time.Sleep(time.Minute)
		b.wants("-a")
		b.remove("b")
		b.wants("-b +a") // but a is still before c
		b.cancel()
		time.Sleep(5 * time.Second)
		if err := <-b.ended; err != nil {
			if _, overstays := errors.AsType[*StillRunningError](err); !overstays {
				t.Error(err)
			}
		}
	})
}

// TestWhoHasNoSlotPassesNobodyThatKeepsOne: the run of a has overstayed when it ends, and b, whose slot is kept, waits for the
// ramp.
func TestWhoHasNoSlotPassesNobodyThatKeepsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, Config{Limit: 2, RampPerSecond: 0.1, StopGrace: time.Second}, func(ctx context.Context, id string) error {
			<-ctx.Done()
			if id == "a" {
				time.Sleep(23 * time.Second)
			}
			return nil
		})
		b.add("a", "b", "c")
		time.Sleep(10 * time.Second)
		b.reconfigure("a") // at 10 s; its slot is free at 11 s, c has it at 20 s, its run ends at 33 s
		time.Sleep(21 * time.Second)
		b.wants("+a +b +c")
		b.reconfigure("b")
		time.Sleep(time.Second)
		b.wants("-b +b") // the ramp had a start left
		b.reconfigure("b")
		time.Sleep(5 * time.Second)
		b.wants("-b -a")
		b.wantStates("a waiting, b waiting, c running")
		time.Sleep(5 * time.Second)
		b.wants("+b")
		b.cancel()
		if err := <-b.ended; err != nil {
			if _, overstays := errors.AsType[*StillRunningError](err); !overstays {
				t.Error(err)
			}
		}
	})
}

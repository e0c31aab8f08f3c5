package sqldb

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAGateLetsNobodyInWhileItIsShut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		leave, err := g.enter(t.Context())
		do(t, err)
		opens := make(chan func())
		go func() {
			open, err := g.shut(t.Context())
			if err != nil {
				t.Errorf("shut: %v", err)
			}
			opens <- open
		}()
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.enter(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one that comes later is let in: %v", err)
		}
		entered := make(chan struct{})
		go func() {
			leave, err := g.enter(t.Context())
			if err != nil {
				t.Errorf("enter: %v", err)
			}
			leave()
			close(entered)
		}()
		synctest.Wait()
		select {
		case <-opens:
			t.Error("it is shut though somebody is inside")
		default:
		}
		leave()
		open := <-opens
		synctest.Wait()
		select {
		case <-entered:
			t.Error("somebody came in while it was shut")
		default:
		}
		open()
		<-entered
	})
}

func TestAGateOpensAgainWhenSomebodyDoesNotLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		leave, err := g.enter(t.Context())
		do(t, err)
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), listsWait)
			if _, err := g.shut(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("shut: %v", err)
			}
			cancel()
			other, err := g.enter(t.Context())
			do(t, err)
			other()
		}
		leave()
		open, err := g.shut(t.Context())
		do(t, err)
		open()
		_, err = g.enter(t.Context())
		do(t, err)
	})
}

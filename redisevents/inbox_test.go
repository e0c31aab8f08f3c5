package redisevents

import (
	"context"
	"testing"
	"testing/synctest"
)

func TestInboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames := newInbox()
		const size = inboxBytes / 4
		put := 0
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for ; put < 10; put++ {
				frames.put(ctx, put, size)
			}
			frames.close()
		}()
		for _, want := range []int{4, 4} {
			synctest.Wait()
			if got := frames.take(); len(got) != want {
				t.Errorf("took %v, want %d frames", got, want)
			}
		}
		synctest.Wait()
		if got := frames.take(); len(got) != 2 || got[1] != 9 {
			t.Errorf("took %v at the end, want two frames", got)
		}
		if got := frames.take(); got != nil {
			t.Errorf("took %v after the end", got)
		}
		cancel()
	})
}

func TestInboxDoesNotOutwaitItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames := newInbox()
		ctx, cancel := context.WithCancel(t.Context())
		go frames.put(ctx, 1, 2*inboxBytes)
		synctest.Wait()
		cancel()
		synctest.Wait() // the bubble complains if put is still there
		if got := frames.take(); len(got) != 1 {
			t.Errorf("took %v, want one frame", got)
		}
	})
}

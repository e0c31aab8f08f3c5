package sqldb

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// looks is as keepWatch is, with looks that take that long and find that server.
func looks(ctx context.Context, p *postgres, server string, long time.Duration) {
	for p.pause(ctx) {
		began := time.Now()
		time.Sleep(long)
		_, _ = p.far.met(server, began)
		p.far.looked(false)
	}
}

// TestX08SlowLooksDoNotStopChanges: each waits for the look that goes on at most, and all that wait for the row share it.
func TestX08SlowLooksDoNotStopChanges(t *testing.T) {
	for _, long := range []time.Duration{10 * time.Millisecond, 800 * time.Millisecond, 1200 * time.Millisecond, watchLimit} {
		synctest.Test(t, func(t *testing.T) {
			p := &postgres{far: farEnd{wish: make(chan struct{}, 1)}}
			turn, err := p.far.met("here", time.Now())
			do(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			var looking, changing sync.WaitGroup
			looking.Go(func() { looks(ctx, p, "here", long) })
			row := make(chan struct{}, 1)
			began := time.Now()
			for range 8 {
				changing.Go(func() {
					for range 50 {
						row <- struct{}{}
						time.Sleep(10 * time.Millisecond)
						if err := p.leadsHere(t.Context(), turn, toCommit); err != nil {
							t.Error(err)
						}
						<-row
					}
				})
			}
			changing.Wait()
			const work = 8 * 50 * 10 * time.Millisecond
			if took, most := time.Since(began), work+time.Duration(int(work/knownFor)+1)*long; took > most {
				t.Errorf("changes that take %s took %s with looks of %s, want %s at most", work, took, long, most)
			}
			cancel()
			looking.Wait()
		})
	}
}

// TestX08ALookCountsFromItsEndForChangesAlone: the first relay on another server waits for as long as a look is good for one that
// relays, counted from its beginning.
func TestX08ALookCountsFromItsEndForChangesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f farEnd
		wants := func(what string, use use, known bool) {
			t.Helper()
			if _, err := f.leads(f.turn, time.Now(), use); (err == nil) != known {
				t.Errorf("%s: %v", what, err)
			}
		}
		meets := func(long time.Duration) {
			began := time.Now()
			time.Sleep(long)
			_, err := f.met("here", began)
			do(t, err)
			time.Sleep(time.Millisecond)
		}
		meets(watchLimit)
		wants("a change", toCommit, true)
		wants("the leader", toLead, false)
		time.Sleep(knownFor)
		wants("a change later", toCommit, false)
		meets(watchLimit + 1) // a connection of a pool, which has more time
		wants("a change after what took too long", toCommit, false)
		meets(0)
		wants("the leader after a fast one", toLead, true)
	})
}

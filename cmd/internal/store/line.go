package store

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
)

// together is how many changes share a transaction at most.
const together = 128

// member is a call that changes something, for as long as it lasts.
type member struct {
	ctx   context.Context //nolint:containedctx // that of the call, which waits while another one makes its change
	what  string
	slugs []string // that fn looks for
	fn    func(context.Context, *change) error
	told  chan verdict // has room for the only one

	// What became of it. It is its own call's again once that was told.
	done Deed
	err  error
}

// verdict is what a call is told that waits.
type verdict int

const (
	leads    verdict = iota // it makes its change, and those of others that wait
	ended                   // err and done say how
	byItself                // nothing was changed, and it tries again without company
)

// line is the changes that wait to be made. It has no goroutine: a call that comes while none leads does so, for one transaction,
// and then the first that waits.
type line struct {
	mu      sync.Mutex // guards what is below
	led     bool
	waiting []*member
}

// enter waits until m is told something, or its ctx ends before somebody begins with its change. Once somebody has, it waits for
// what becomes of it, or nobody could say whether it was made.
func (l *line) enter(m *member) verdict {
	if l.join(m) {
		return leads
	}
	select {
	case v := <-m.told:
		return v
	case <-m.ctx.Done():
	}
	if l.leave(m) {
		m.err = m.ctx.Err()
		return ended
	}
	return <-m.told
}

// join reports whether m leads, because nobody does.
func (l *line) join(m *member) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.led {
		l.waiting = append(l.waiting, m)
		return false
	}
	l.led = true
	return true
}

// leave reports whether m still waited.
func (l *line) leave(m *member) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, m)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	return i >= 0
}

// take takes the first that wait, n at most.
func (l *line) take(n int) []*member {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.waiting))
	taken := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	return taken
}

// next takes the one that leads from now on, nil for none.
func (l *line) next() *member {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.led = false
		return nil
	}
	m := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	return m
}

// shared is a ctx for all of them. It ends with the first of their deadlines, and when all are cancelled, so that none of them can
// end it for the others.
func shared(all []*member) (context.Context, context.CancelFunc) {
	if len(all) == 1 {
		return context.WithCancel(all[0].ctx)
	}
	first := time.Now().Add(sqldb.CallLimit)
	for _, m := range all {
		if end, ok := m.ctx.Deadline(); ok && end.Before(first) && m.ctx.Err() == nil { // what has ended already takes no part
			first = end
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), first)
	var left atomic.Int64
	left.Store(int64(len(all)))
	stops := make([]func() bool, len(all))
	for i, m := range all {
		stops[i] = context.AfterFunc(m.ctx, func() {
			if left.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}

package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
)

// foldEvery is for how long the readings of one target by one caller are one row.
const foldEvery = time.Minute

// readingLimit is for a transaction that writes them, whoever waits for it.
const readingLimit = 30 * time.Second

// readLog writes the rows of what was read and is secret. Those that come while one transaction is written are written by the
// next, all together, so that however many read at once, changes wait for one more transaction and not for as many.
type readLog struct {
	writing chan struct{}            // holds a token while a batch is written, and guards folded
	folded  map[readingKey]foldedRow // of the last minute

	mu      sync.Mutex // guards waiting, and what is in it until it is written
	waiting *readBatch // what the next transaction writes; nil for nothing
}

type readBatch struct {
	deeds []*pendingReading
	done  chan struct{} // closed when err is there
	err   error
}

type pendingReading struct {
	Deed

	at time.Time
}

// readingKey is what is one row in a minute.
type readingKey struct{ actor, address, call, target string }

// foldedRow is a row that counts.
type foldedRow struct {
	id    int64
	since time.Time
	times int
}

func newReadLog() *readLog {
	return &readLog{writing: make(chan struct{}, 1), folded: map[readingKey]foldedRow{}}
}

// noteReading returns when the row is committed, or the error because of which it is not: then nothing may be handed out.
func (s *Store) noteReading(ctx context.Context, what, target string) error {
	d, ok := ctx.Value(deedKey{}).(*Deed)
	if !ok {
		return nil // this process, for itself
	}
	one := &pendingReading{Deed: d.row(what, target, ResultRead), at: time.Now()}
	mine := s.readings.add(one)
	select {
	case s.readings.writing <- struct{}{}: // this one writes for all that wait
		s.writeReadings(ctx, what)
		<-s.readings.writing
	case <-mine.done:
	case <-ctx.Done():
	}
	select {
	case <-mine.done:
	case <-ctx.Done():
		s.readings.leave(mine, one)
		return s.db.Explain(ctx, what, ctx.Err())
	}
	if mine.err == nil {
		d.Target, d.Result = one.Target, one.Result
	}
	return mine.err
}

func (l *readLog) add(one *pendingReading) *readBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		l.waiting = &readBatch{done: make(chan struct{})}
	}
	l.waiting.deeds = append(l.waiting.deeds, one)
	return l.waiting
}

// leave takes out what nobody waits for any more, and so was not handed out, unless it is being written.
func (l *readLog) leave(of *readBatch, one *pendingReading) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == of {
		of.deeds = slices.DeleteFunc(of.deeds, func(other *pendingReading) bool { return other == one })
	}
}

func (l *readLog) next() *readBatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.waiting
	l.waiting = nil
	return b
}

// writeReadings goes on although the one that writes goes away, because the others wait for it.
func (s *Store) writeReadings(ctx context.Context, what string) {
	b := s.readings.next()
	if b == nil {
		return // somebody has written it already
	}
	defer close(b.done)
	if len(b.deeds) == 0 {
		return // they have all left
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readingLimit)
	defer cancel()
	folded := s.readings.recent(time.Now())
	b.err = s.db.Write(ctx, what, func(ctx context.Context, t sqldb.Tx) error {
		for _, one := range b.deeds {
			if err := s.fold(ctx, t, folded, one); err != nil {
				return err
			}
		}
		return nil
	})
	if b.err == nil {
		s.readings.folded = folded
	}
}

// recent returns a copy of the rows that still count.
func (l *readLog) recent(now time.Time) map[readingKey]foldedRow {
	out := make(map[readingKey]foldedRow, len(l.folded))
	for key, row := range l.folded {
		if now.Sub(row.since) < foldEvery {
			out[key] = row
		}
	}
	return out
}

// fold counts a reading in the row of the same, or begins one.
func (s *Store) fold(ctx context.Context, t sqldb.Tx, folded map[readingKey]foldedRow, one *pendingReading) error {
	key := readingKey{one.Actor, one.Address, one.Call, one.Target}
	if row, ok := folded[key]; ok {
		row.times++
		// All of it is compared: after a failover that has lost rows the number may be that of another deed.
		n, err := t.Exec(ctx, `UPDATE audit SET result = ?3 WHERE env = ?1 AND id = ?2 AND at = ?4 AND actor = ?5 AND address = ?6
			AND call = ?7 AND target = ?8`, s.env, row.id, fmt.Sprintf("%s %d times", ResultRead, row.times),
			micros(row.since), key.actor, key.address, key.call, key.target)
		if err != nil {
			return err
		}
		if n > 0 {
			folded[key] = row
			return nil
		}
	}
	id, err := auditOf(ctx, t, s.env, one.at, one.Deed)
	folded[key] = foldedRow{id: id, since: one.at, times: 1}
	return err
}

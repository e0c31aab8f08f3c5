package sqldb

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTheLogOfSQLiteIsCutThoughListsOverlap: each of two that read lists waits until the other has begun again, as long as
// that does not take too long, so that there is always somebody who keeps what the log has.
func TestTheLogOfSQLiteIsCutThoughListsOverlap(t *testing.T) {
	s := sqliteFile(t).open(t)
	fillLog := ballast(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	var begun atomic.Int64
	overlap := func(context.Context, Tx) error {
		mine := begun.Add(1)
		for deadline := time.Now().Add(time.Second); begun.Load() == mine && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		return nil
	}
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if err := s.Stream(ctx, "list", overlap); err != nil && ctx.Err() == nil {
					t.Errorf("a list: %v", err)
				}
			}
		})
	}
	for range 2 {
		fillLog()
		wantShortLog(t, s)
	}
}

// TestListsWaitWhileTheLogIsCut, and who reads one is waited for.
func TestListsWaitWhileTheLogIsCut(t *testing.T) {
	s := sqliteFile(t).open(t)
	lists := &s.wal.lists
	do(t, s.Stream(t.Context(), "list", func(context.Context, Tx) error {
		if _, err := lists.shut(soon(t)); err == nil {
			t.Error("a list that is being read is not waited for")
		}
		return nil
	}))
	open, err := lists.shut(t.Context())
	do(t, err)
	begin := func(context.Context, Tx) error { t.Error("a list was read"); return nil }
	if err := s.Stream(soon(t), "list", begin); !errors.Is(err, ErrUnavailable) {
		t.Errorf("one that gives up waiting: %v", err)
	}
	do(t, probe(t.Context(), s))
	open()
	do(t, s.Stream(t.Context(), "list", func(context.Context, Tx) error { return nil }))
}

// TestAListThatIsReadSlowlyKeepsNobodyElse: changes pass, other lists are read after a moment, and the log is cut when the
// slow one has ended.
func TestAListThatIsReadSlowlyKeepsNobodyElse(t *testing.T) {
	s := sqliteFile(t).open(t)
	fillLog := ballast(t, s)
	began, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- s.Stream(context.WithoutCancel(t.Context()), "list", func(context.Context, Tx) error {
			close(began)
			<-end
			return nil
		})
	}()
	<-began
	fillLog()
	keeper := s.wal
	waitFor(t, "the gate is shut", func() bool {
		do(t, keep(t.Context(), s)) // a change is what has it looked at
		keeper.lists.mu.Lock()
		defer keeper.lists.mu.Unlock()
		return keeper.lists.opened != nil
	})
	do(t, s.Stream(t.Context(), "list", func(context.Context, Tx) error { return nil }))
	close(end)
	do(t, <-ended)
	wantShortLog(t, s)
}

// TestClosingDoesNotWaitForASlowList is about the goroutine that keeps the log short; TestMain sees that it is gone.
func TestClosingDoesNotWaitForASlowList(t *testing.T) {
	s := sqliteFile(t).open(t)
	ballast(t, s)()
	leave, err := s.wal.list(t.Context())
	do(t, err)
	defer leave()
	do(t, s.Close())
}

func TestALongLogIsWarnedOfOnce(t *testing.T) {
	var out strings.Builder
	path := t.TempDir() + "/log"
	f, err := os.Create(path)
	do(t, err)
	do(t, errors.Join(f.Truncate(logTooLong+1), f.Close())) // no block of it is on the disk
	db, err := (&sqlite{path: path + ".db"}).pool("_txlock=deferred", 1, 0)
	do(t, err)
	defer func() { do(t, db.Close()) }()
	k := &sqliteLog{path: path, db: db, log: textLogger(&out)}
	leave, err := k.lists.enter(t.Context())
	do(t, err)
	defer leave()
	for range 2 {
		if k.look(t.Context()) {
			t.Error("it was cut though a list is being read")
		}
	}
	if strings.Count(out.String(), "WARN") != 1 || !strings.Contains(out.String(), path) {
		t.Errorf("the log says %q", out.String())
	}
}

// ballast makes a table, and returns what writes so much of it that the log is too long.
func ballast(t *testing.T, s *DB) (fillLog func()) {
	t.Helper()
	exec := func(query string, args ...any) {
		t.Helper()
		do(t, s.Write(t.Context(), "write ballast", func(ctx context.Context, q Tx) error {
			_, err := q.Exec(ctx, query, args...)
			return err
		}))
	}
	exec(`CREATE TABLE ballast (id INTEGER PRIMARY KEY, data BLOB)`)
	return func() {
		t.Helper()
		exec(`INSERT OR REPLACE INTO ballast (id, data) VALUES (1, randomblob(?1))`, logLimit+1<<20)
	}
}

// wantShortLog writes nothing: that alone could do it, in the moment when no list is read.
func wantShortLog(t *testing.T, s *DB) {
	t.Helper()
	waitFor(t, "the log is short", func() bool {
		size, err := s.wal.size()
		do(t, err)
		return size <= logLimit
	})
}

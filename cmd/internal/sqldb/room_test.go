package sqldb

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// roomy is a database that knows how much is free.
type roomy struct {
	dialect

	bytes uint64
}

func (r *roomy) free() (uint64, bool) { return r.bytes, true }

// TestX48APingWritesLittle as a rule, and as much as a change when there is a doubt whether that can be written.
func TestX48APingWritesLittle(t *testing.T) {
	db := sqliteFile(t)
	s := db.open(t)
	disk := &roomy{s.dialect, 2 * reserveMargin}
	s.dialect = disk
	// Each page is in the log once for each time that it was changed, so that the log tells what was written.
	ping := func() (much bool) {
		t.Helper()
		before := walSize(t, db)
		do(t, probe(t.Context(), s))
		written := walSize(t, db) - before
		if written == 0 {
			t.Error("nothing was written")
		}
		return written >= reserveBytes
	}
	if !ping() {
		t.Error("the first ping did not try whether there is room")
	}
	if first, second := ping(), ping(); first || second {
		t.Error("there is no doubt, and much was written")
	}
	s.reserve.at = s.reserve.at.Add(-reserveEvery)
	if first, second := ping(), ping(); !first || second {
		t.Error("after a while it is tried once")
	}
	disk.bytes = reserveMargin - 1
	if first, second := ping(), ping(); !first || !second {
		t.Error("when little is free it is tried each time")
	}
	disk.bytes = reserveMargin
	if ping() {
		t.Error("there is room again")
	}
}

// TestX48APingAfterAChangeThatFailed tries at once whether there is room: a few bytes may fit where tenants do not.
func TestX48APingAfterAChangeThatFailed(t *testing.T) {
	s := sqliteFile(t).open(t)
	do(t, probe(t.Context(), s))
	limitPages(t, s, 1) // which is taken as: no more than there are
	if err := keep(t.Context(), s, slices.Repeat([]string{strings.Repeat("v", 15<<10)}, 10)...); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("a change on a full disk: %v", err)
	}
	if !s.reserve.inDoubt() {
		t.Error("nobody doubts that there is room")
	}
	limitPages(t, s, 100_000)
	do(t, probe(t.Context(), s))
	if s.reserve.inDoubt() {
		t.Error("it is doubted after it was tried")
	}
}

func limitPages(t *testing.T, s *DB, pages int) {
	t.Helper()
	_, err := s.writer.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA max_page_count = %d`, pages))
	do(t, err)
}

func walSize(t *testing.T, db database) int64 {
	t.Helper()
	info, err := os.Stat(strings.TrimPrefix(db.dsn, "sqlite:") + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

package sqldb

import (
	"errors"
	"testing"
)

// TestM07SQLiteIsReadOnly: a change fails, as does a probe, and nothing of it is there.
func TestM07SQLiteIsReadOnly(t *testing.T) {
	s := sqliteFile(t).open(t)
	do(t, keep(t.Context(), s, "one", "two"))
	_, err := s.writer.ExecContext(t.Context(), `PRAGMA query_only = 1`)
	do(t, err)
	for what, call := range map[string]func() error{
		"a change": func() error { return keep(soon(t), s) }, "a probe": func() error { return probe(soon(t), s) },
	} {
		if err := call(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = s.writer.ExecContext(t.Context(), `PRAGMA query_only = 0`)
	do(t, err)
	do(t, probe(t.Context(), s))
	if n, err := kept(t.Context(), s); err != nil || n != 2 {
		t.Errorf("%d rows are there, %v", n, err)
	}
	do(t, keep(t.Context(), s))
}

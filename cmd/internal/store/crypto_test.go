package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// TestS11SecretsAreEncryptedAtRest looks for what was stored in all that the database has on the disk, or in its dump.
func TestS11SecretsAreEncryptedAtRest(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		s := db.open(t)
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger")
		const canary = `{"password":"canary-of-the-database"}`
		_, _, err := s.UpdateConnections(t.Context(), id, "ledger", patch(t, `{"databases":{"canary-of-the-module":{"postgresql":`+canary+
			`}},"messaging":{"rabbitmq":`+canary+`},"secretPaths":{"canary-of-the-module":{"postgresql_rw":"canary-of-the-path"}},"else":`+canary+`}`))
		do(t, err)
		_, key, err := s.CreateKey(t.Context(), "ledger", "first")
		do(t, err)
		_, token, err := s.CreateToken(t.Context(), "first")
		do(t, err)
		content := dump(t, s, db.dsn)
		for _, plain := range []string{"canary-of-the-password", "owner@acme.test", "canary-of-the-database", "canary-of-the-module", key, token, string(testKey)} {
			if bytes.Contains(content, []byte(plain)) || bytes.Contains(content, []byte(hex.EncodeToString([]byte(plain)))) {
				t.Errorf("%.30s is there in plain text", plain)
			}
		}
		if !bytes.Contains(content, []byte("acme-s-hne")) {
			t.Error("what is not a secret is not there either: this looks in the wrong place")
		}
		if _, a, err := s.Connections(t.Context(), id, "ledger"); err != nil || string(a.Connections.Fields().Other["else"]) != canary {
			t.Errorf("read back: %+v, %v", a.Connections.Fields(), err)
		}
	})
}

// dump is all that a thief of the disk would have.
func dump(t *testing.T, s *Store, dsn string) []byte {
	t.Helper()
	if onPostgres(t) {
		return []byte(testserver.SharedPostgres(t).Run(t, "pg_dump", "--column-inserts", dsn))
	}
	var all []byte
	files, err := filepath.Glob(strings.TrimPrefix(dsn, "sqlite:") + "*")
	do(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		do(t, err)
		all = append(all, content...)
		info, err := os.Stat(file)
		do(t, err)
		if perm := info.Mode().Perm(); perm != filePerm {
			t.Errorf("%s has the mode %o", filepath.Base(file), perm)
		}
	}
	if len(files) < 3 {
		t.Errorf("the files are %v", files)
	}
	return all
}

func TestS11AnotherKeyIsNoticedAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		do(t, db.open(t).Close())
		other := bytes.Repeat([]byte{7}, keyBytes)
		for range 2 {
			if _, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: other}); !errors.Is(err, ErrWrongKey) {
				t.Errorf("another key: %v", err)
			}
		}
		for _, key := range [][]byte{nil, other[1:], append(other, 7)} {
			if _, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: key}); err == nil || strings.Contains(err.Error(), "\a") {
				t.Errorf("%d bytes: %v", len(key), err)
			}
		}
		do(t, db.open(t).Close())
	})
}

// TestS11WhatIsSealedOpensOnlyWhereItBelongs moves the connection data of one association to another.
func TestS11WhatIsSealedOpensOnlyWhereItBelongs(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		id := create(t, s, acme()).ID
		associate(t, s, id, "ledger", "billing")
		do(t, s.db.Write(t.Context(), "move", func(ctx context.Context, t sqldb.Tx) error {
			_, err := t.Exec(ctx, `UPDATE associations SET settings = (SELECT settings FROM associations WHERE service = 'ledger')
				WHERE service = 'billing'`)
			return err
		}))
		if _, _, err := s.Connections(t.Context(), id, "billing"); err == nil || !strings.Contains(err.Error(), "decrypt") {
			t.Errorf("read what belongs to another association: %v", err)
		}
		_, _, err := s.Connections(t.Context(), id, "ledger")
		do(t, err)
	})
}

func TestS11WhatWasChangedDoesNotOpen(t *testing.T) {
	s, err := newSealer(testKey)
	do(t, err)
	sealed := s.seal([]byte("plain"), "a", "b")
	if again := s.seal([]byte("plain"), "a", "b"); bytes.Equal(again, sealed) {
		t.Error("the same text is sealed the same way twice")
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := s.open(changed, "a", "b"); err == nil {
			t.Errorf("byte %d was changed, and it opened", i)
		}
		if _, err := s.open(sealed[:i], "a", "b"); err == nil {
			t.Errorf("it was cut to %d bytes, and opened", i)
		}
	}
	if plain, err := s.open(sealed, "a", "b"); err != nil || string(plain) != "plain" {
		t.Errorf("%q, %v", plain, err)
	}
}

// TestX43AKeyThatAnybodyWouldTryBeginsNothing, and what was begun with one goes on, with a word.
func TestX43AKeyThatAnybodyWouldTryBeginsNothing(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		zeros := make([]byte, keyBytes)
		if _, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: zeros}); !errors.Is(err, ErrWeakKey) {
			t.Errorf("it says %v", err)
		}
		s := db.open(t)
		makeEvents(t, s, 1)
		seal, err := newSealer(zeros)
		do(t, err)
		do(t, s.db.Write(t.Context(), "as if begun so", func(ctx context.Context, q sqldb.Tx) error {
			_, err := q.Exec(ctx, `UPDATE environments SET canary = ?1`, seal.seal([]byte(canaryText), testEnvironment, canaryText))
			return err
		}))
		do(t, s.Close())
		var out strings.Builder
		s, err = Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: zeros, Logger: textLogger(&out)})
		do(t, err)
		do(t, s.Close())
		if !strings.Contains(out.String(), "32 zeros") {
			t.Errorf("the log says %s", &out)
		}
	})
}

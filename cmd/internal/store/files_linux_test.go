package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func pathOf(db database) string { return strings.TrimPrefix(db.dsn, "sqlite:") }

// TestX43TheFileItselfIsLocked, whatever became of the lock beside it, and by whatever name it is opened.
func TestX43TheFileItselfIsLocked(t *testing.T) {
	db := sqliteFile(t)
	s := db.open(t)
	makeEvents(t, s, 1)
	do(t, os.Remove(pathOf(db)+".lock"))
	second := filepath.Join(t.TempDir(), "second.db")
	do(t, os.Link(pathOf(db), second))
	for what, dsn := range map[string]string{"without the lock file": db.dsn, "by a hard link": "sqlite:" + second} {
		if _, err := Open(t.Context(), dsn, Options{Environment: testEnvironment, Key: testKey}); !errors.Is(err, ErrInUse) {
			t.Errorf("%s: %v", what, err)
		}
	}
	create(t, s, named("afterwards")) // SQLite's own locks are there still
	do(t, s.Close())
	db.open(t)
}

// TestX43ARestoringFollowsNoLink that somebody has put where its copy was, and leaves a file for its owner alone.
func TestX43ARestoringFollowsNoLink(t *testing.T) {
	db := sqliteFile(t)
	s := db.open(t)
	makeEvents(t, s, 1)
	saved := filepath.Join(t.TempDir(), "backup.db")
	do(t, s.Backup(t.Context(), saved))
	target, victim := sqliteFile(t), filepath.Join(t.TempDir(), "victim")
	do(t, os.WriteFile(victim, []byte("precious"), 0o600))
	do(t, os.Chmod(victim, 0o666)) //nolint:gosec // that is the point
	for _, suffix := range []string{".unfinished", ".unfinished-wal", ".unfinished.lock"} {
		do(t, os.Symlink(victim, pathOf(target)+suffix))
	}
	do(t, Restore(t.Context(), target.dsn, saved, Options{Environment: testEnvironment, Key: testKey}))
	if got, err := os.ReadFile(victim); err != nil || string(got) != "precious" {
		t.Errorf("the file of somebody else is now %q, %v", got, err)
	}
	if info, err := os.Lstat(pathOf(target)); err != nil || info.Mode() != filePerm {
		t.Errorf("the database is %v, %v", info.Mode(), err)
	}
}

// TestX43WhatIsNoFileIsRefused at once, wherever one is opened.
func TestX43WhatIsNoFileIsRefused(t *testing.T) {
	db := sqliteFile(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	do(t, syscall.Mkfifo(pipe, 0o600))
	o := Options{Environment: testEnvironment, Key: testKey}
	for what, open := range map[string]func() error{
		"the database":        func() error { _, err := Open(t.Context(), "sqlite:"+pipe, o); return err },
		"what is restored":    func() error { return Restore(t.Context(), db.dsn, pipe, o) },
		"what is backed up":   func() error { return Backup(t.Context(), "sqlite:"+pipe, filepath.Join(t.TempDir(), "copy")) },
		"the lock beside it":  func() error { return openBesides(t, ".lock") },
		"a directory as lock": func() error { return openBesides(t, "/") },
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), "is not a file but") && !errors.Is(err, syscall.EISDIR) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func openBesides(t *testing.T, suffix string) error {
	t.Helper()
	db := sqliteFile(t)
	if suffix == "/" {
		do(t, os.Mkdir(pathOf(db)+".lock", 0o700))
	} else {
		do(t, syscall.Mkfifo(pathOf(db)+suffix, 0o600))
	}
	_, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: testKey})
	return err
}

func TestX43ALinkInThePlaceOfTheLockIsNotFollowed(t *testing.T) {
	db := sqliteFile(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	do(t, os.Symlink(elsewhere, pathOf(db)+".lock"))
	if _, err := Open(t.Context(), db.dsn, Options{Environment: testEnvironment, Key: testKey}); err == nil {
		t.Error("it was followed")
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("a file was made elsewhere")
	}
}

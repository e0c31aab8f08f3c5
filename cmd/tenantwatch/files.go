package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

const (
	// filesPrefix begins the names of the folders.
	filesPrefix = "tenantwatch-dev-"
	// youngFolder is how long a folder is left alone that nobody holds: its owner may be about to lock it.
	youngFolder = time.Minute

	filePerm = 0o600
)

// makeFolder makes the folder that all files are in. It is locked for as long as this process lives; those of processes
// that were killed are removed first.
func (s *stack) makeFolder(ctx context.Context) error {
	s.removeLeftBehind(ctx, os.TempDir())
	var err error
	if s.files, err = os.MkdirTemp("", filesPrefix); err != nil {
		return fmt.Errorf("make a folder for the database and the keys: %w", err)
	}
	s.closeLater(func() error { return os.RemoveAll(s.files) })
	// Where folders cannot be locked nobody takes one that is not locked for one that was left behind.
	if unlock, err := lockFolder(s.files); err == nil {
		s.closeLater(unlock)
	}
	return nil
}

// writeEncryptionKey makes a key for the database and returns its file.
func (s *stack) writeEncryptionKey() (string, error) {
	key := make([]byte, encryptionKey)
	if _, err := rand.Read(key); err != nil {
		return "", fmt.Errorf("make an encryption key: %w", err)
	}
	path := s.file("encryption-key")
	return path, os.WriteFile(path, []byte(hex.EncodeToString(key)+"\n"), filePerm)
}

// writeFiles makes what the commands to paste read, so that they are short and show no key in the list of processes.
func (s *stack) writeFiles() error {
	headers := managerapi.HeaderAPIKey + ": " + s.apiKey + "\n" +
		"Authorization: Bearer " + s.token + "\n" +
		"Content-Type: application/json\n"
	return errors.Join(
		os.WriteFile(s.keyFile(), []byte(s.apiKey+"\n"), filePerm),
		os.WriteFile(s.headersFile(), []byte(headers), filePerm))
}

func (s *stack) keyFile() string { return s.file("api-key") }

func (s *stack) headersFile() string { return s.file("headers") }

func (s *stack) file(name string) string { return filepath.Join(s.files, name) }

// removeLeftBehind removes the folders in dir whose process is gone and could not do so itself. What cannot be removed,
// because it is another user's, stays.
func (s *stack) removeLeftBehind(ctx context.Context, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // making our own folder there says why
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.IsDir() || !strings.HasPrefix(entry.Name(), filesPrefix) || time.Since(info.ModTime()) < youngFolder {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		unlock, err := lockFolder(path)
		if err != nil {
			continue // it is in use
		}
		err = errors.Join(os.RemoveAll(path), unlock())
		s.logger.LogAttrs(ctx, slog.LevelInfo, "removed the files of a dev that was killed", slog.String("folder", path), slog.Any("error", err))
	}
}

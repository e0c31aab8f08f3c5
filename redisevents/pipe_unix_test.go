//go:build unix

package redisevents

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestX43APipeInThePlaceOfACertificateIsRefused at once.
func TestX43APipeInThePlaceOfACertificateIsRefused(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := NewPubSub(Config{Host: "localhost", TLS: true, ClientCert: pipe, ClientKey: pipe}, "")
	if err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("it says %v", err)
	}
}

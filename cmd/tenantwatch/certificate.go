package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate is a TLS certificate in files, which somebody renews while the process runs.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu       sync.Mutex // guards what is below
	current  *tls.Certificate
	modified [2]time.Time
}

// newCertificate reads the files, which have to be right now.
func newCertificate(certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	modified, err := c.times()
	if err == nil {
		err = c.load(modified)
	}
	if err != nil {
		return nil, fmt.Errorf("read the TLS certificate: %w", err)
	}
	return c, nil
}

// config is for listeners.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.get(hello.Context()), nil
		},
	}
}

// get returns the certificate of now. One that cannot be read, because it is being written, leaves the one before.
func (c *certificate) get(ctx context.Context) *tls.Certificate {
	current, err := c.renewed()
	if err != nil {
		c.logger.LogAttrs(ctx, slog.LevelWarn, "the TLS certificate cannot be read; the one before is used", slog.Any("error", err))
	}
	return current
}

func (c *certificate) renewed() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	modified, err := c.times()
	if err == nil && modified != c.modified {
		err = c.load(modified)
	}
	return c.current, err
}

func (c *certificate) load(modified [2]time.Time) error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.modified = &pair, modified
	return nil
}

func (c *certificate) times() (modified [2]time.Time, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, statErr := os.Stat(name)
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		modified[i] = info.ModTime()
	}
	return modified, err
}

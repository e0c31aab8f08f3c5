package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// certificateEvery is how often the files are looked into, at most. Their times are not asked: whoever copies a pair into
// its place may bring the times of the one before along.
const certificateEvery = time.Second

// certificate is a TLS certificate in files, which somebody renews while the process runs.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex // guards what is below
	current *tls.Certificate
	content [2]string // that current was made of
	looked  time.Time
	failing bool
	told    bool // that current is of no use to clients now
}

// newCertificate reads the files, which have to be right now.
func newCertificate(ctx context.Context, certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	if err := c.load(ctx); err != nil {
		return nil, fmt.Errorf("read the TLS certificate: %w", err)
	}
	c.looked = time.Now()
	c.tell(ctx)
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

// get returns the current certificate.
func (c *certificate) get(ctx context.Context) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certificateEvery {
		return c.current
	}
	failing := c.failing
	if err := c.look(ctx); err != nil && !failing { // once, for files that are being written too
		c.logger.LogAttrs(ctx, slog.LevelWarn, "the TLS certificate cannot be read; the one before is used", slog.Any("error", err))
	}
	return c.current
}

// again looks into the files now, and reports whether another certificate was taken up. After an error the one before is used,
// which is for the caller to tell.
func (c *certificate) again(ctx context.Context) (renewed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.current
	err = c.look(ctx)
	return c.current != before, err
}

// look takes up what has changed. Files that cannot be read, because they are being written, leave the one before.
func (c *certificate) look(ctx context.Context) error {
	c.looked = time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), certificateEvery) // who connects may hang up meanwhile
	defer cancel()
	err := c.load(ctx)
	c.failing = err != nil
	c.tell(ctx)
	return err
}

func (c *certificate) load(ctx context.Context) error {
	var content [2]string
	var errs []error
	for i, name := range []string{c.certFile, c.keyFile} {
		text, err := readSettingFile(ctx, name)
		content[i], errs = string(text), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || c.current != nil && content == c.content { // two empty files are not a certificate
		return err
	}
	pair, err := tls.X509KeyPair([]byte(content[0]), []byte(content[1]))
	if err != nil {
		return err
	}
	c.current, c.content, c.told = &pair, content, false
	return nil
}

// tell warns of a certificate that every client refuses, once.
func (c *certificate) tell(ctx context.Context) {
	leaf, now := c.current.Leaf, time.Now()
	if leaf == nil || c.told || now.After(leaf.NotBefore) && now.Before(leaf.NotAfter) {
		return
	}
	c.told = true
	what := "the TLS certificate has expired, and clients refuse it: renew it"
	if now.Before(leaf.NotBefore) {
		what = "the TLS certificate does not hold yet, and clients refuse it: look at its dates and at the clock"
	}
	c.logger.LogAttrs(ctx, slog.LevelError, what, slog.String("file", c.certFile),
		slog.Time("from", leaf.NotBefore), slog.Time("until", leaf.NotAfter))
}

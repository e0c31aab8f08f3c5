package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a certificate in two files, whose times never change.
type pair struct {
	t                 *testing.T
	certFile, keyFile string
	log               bytes.Buffer
	c                 *certificate
}

func newPair(t *testing.T) *pair {
	t.Helper()
	dir := t.TempDir()
	p := &pair{t: t, certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	p.renew(1)
	p.open()
	return p
}

// times gives the files those that they had.
func (p *pair) times() {
	p.t.Helper()
	then := time.Unix(1_000_000_000, 0)
	if err := errors.Join(os.Chtimes(p.certFile, then, then), os.Chtimes(p.keyFile, then, then)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) renew(serial int64) {
	p.t.Helper()
	selfSigned(p.t, p.certFile, p.keyFile, serial)
	p.times()
}

func (p *pair) open() {
	p.t.Helper()
	var err error
	if p.c, err = newCertificate(p.t.Context(), p.certFile, p.keyFile, slog.New(slog.NewTextHandler(&p.log, nil))); err != nil {
		p.t.Fatal(err)
	}
}

// serial is that of what a client gets after a while.
func (p *pair) serial() int64 {
	p.t.Helper()
	time.Sleep(certificateEvery)
	leaf, err := x509.ParseCertificate(p.c.get(p.t.Context()).Certificate[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return leaf.SerialNumber.Int64()
}

// TestX46ARenewedCertificateIsTakenUp though its files have the times of the ones before, and half of one is not.
func TestX46ARenewedCertificateIsTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		if got := p.serial(); got != 1 || p.log.Len() > 0 {
			t.Errorf("certificate %d, %s", got, &p.log)
		}
		p.renew(2)
		if got := p.serial(); got != 2 {
			t.Errorf("the new one is not taken up: %d", got)
		}
		if err := os.WriteFile(p.certFile, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.times()
		for range 3 {
			if got := p.serial(); got != 2 || strings.Count(p.log.String(), "the one before is used") != 1 {
				t.Errorf("half a certificate: %d, %s", got, &p.log)
			}
		}
		p.renew(3)
		if got := p.serial(); got != 3 {
			t.Errorf("after a half one: %d", got)
		}
		if err := os.Remove(p.keyFile); err != nil {
			t.Fatal(err)
		}
		if got := p.serial(); got != 3 {
			t.Errorf("without its key: %d", got)
		}
	})
}

// TestX43ACertificateThatClientsRefuseIsToldOf, at the start and when it comes to its end, once each time.
func TestX43ACertificateThatClientsRefuseIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		told := func() int { return strings.Count(p.log.String(), "has expired") }
		time.Sleep(time.Hour) // which is how long it holds
		for range 3 {
			if p.serial(); told() != 1 {
				t.Errorf("told %d times: %s", told(), &p.log)
			}
		}
		p.open()
		if told() != 2 {
			t.Errorf("told %d times after another start", told())
		}
		p.renew(2)
		if p.serial(); told() != 2 {
			t.Errorf("the new one is told of: %s", &p.log)
		}
	})
}

func TestX43AKeyFileForEverybody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := database{dsn: "sqlite:t.db", environment: "staging", keyFile: path}
	for mode, want := range map[os.FileMode]string{0o600: "", 0o400: "", 0o640: "", 0o644: "is open to others", 0o660: "is open to others", 0o666: "mode 0666", 0o602: "mode 0602"} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		_, err := d.options(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		said := log.String()
		if err != nil {
			said += err.Error()
		}
		if refused := mode&0o002 != 0; refused != (err != nil) || !strings.Contains(said, want) || want == "" && said != "" {
			t.Errorf("%04o: %s", mode, said)
		}
	}
}

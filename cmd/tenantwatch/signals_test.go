package main

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestX48SIGHUPDoesNotEndServe: many programs read their settings again at it, and logrotate and systemd send it.
func TestX48SIGHUPDoesNotEndServe(t *testing.T) {
	serve := startServe(t, "sqlite:"+t.TempDir()+"/t.db")
	for range 2 {
		if err := serve.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		serve.await(&serve.err, "SIGHUP: a renewed certificate is taken up")
	}
	serve.command("tenant", "create", "Acme")
	serve.interrupt()
}

// TestX48SIGHUPTakesUpACertificate: even when nobody connects meanwhile.
func TestX48SIGHUPTakesUpACertificate(t *testing.T) {
	folder := t.TempDir()
	certFile, keyFile := folder+"/cert", folder+"/key"
	selfSigned(t, certFile, keyFile, 1)
	serve := startServe(t, "sqlite:"+folder+"/t.db", "--tls-cert", certFile, "--tls-key", keyFile)
	later := time.Now().Add(time.Minute)
	if err := os.WriteFile(certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(certFile, later, later); err != nil {
		t.Fatal(err)
	}
	if err := serve.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	serve.await(&serve.err, "the TLS certificate cannot be read; the one before is used")
	serve.interrupt()
}

// TestX48SIGHUPEndsTheOthers: it is what a terminal sends that is closed.
func TestX48SIGHUPEndsTheOthers(t *testing.T) {
	hungUp := make(chan os.Signal, 1) // so that processes begin with the signal as it is by default, even below nohup
	signal.Notify(hungUp, syscall.SIGHUP)
	defer signal.Stop(hungUp)
	dev := startProcess(t, nil, "dev", "--no-churn", "--json")
	ready := dev.ready()
	follow := ready.follow(t)
	follow.await(&follow.err, "live with")
	for _, p := range []*process{follow, dev} {
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("ended with %v\n%s", err, &p.err)
		}
	}
	if strings.Contains(follow.err.String(), "SIGHUP") {
		t.Errorf("it has something to say: %s", &follow.err)
	}
}

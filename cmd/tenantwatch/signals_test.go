package main

import (
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// TestX48SIGHUPDoesNotEndServe: many programs read their settings again at it, and logrotate and systemd send it.
func TestX48SIGHUPDoesNotEndServe(t *testing.T) {
	t.Parallel()
	serve := startServe(t, "sqlite:"+t.TempDir()+"/t.db")
	for range 2 {
		if err := serve.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		serve.await(&serve.err, "SIGHUP: there is no certificate to look at")
	}
	serve.command("tenant", "create", "Acme")
	serve.interrupt()
}

// TestX48SIGHUPTakesUpACertificate: even when nobody connects meanwhile.
func TestX48SIGHUPTakesUpACertificate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	certFile, keyFile := folder+"/cert", folder+"/key"
	selfSigned(t, certFile, keyFile, 1)
	serve := startServe(t, "sqlite:"+folder+"/t.db", "--tls-cert", certFile, "--tls-key", keyFile)
	for _, tt := range []struct {
		change func()
		said   string
	}{
		{func() {}, "SIGHUP: the certificate is the one before"},
		{func() { selfSigned(t, certFile, keyFile, 2) }, "SIGHUP: the renewed certificate is taken up"},
		{func() { _ = os.WriteFile(certFile, []byte("half"), 0o600) }, "SIGHUP: what is in the files is refused, and the certificate before is used"},
	} {
		tt.change()
		if err := serve.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		serve.await(&serve.err, tt.said)
	}
	if said := serve.err.String(); strings.Count(said, "SIGHUP") != 3 {
		t.Errorf("it says\n%s", said)
	}
	serve.interrupt()
}

// TestX48SIGHUPEndsTheOthers: it is what a terminal sends that is closed.
func TestX48SIGHUPEndsTheOthers(t *testing.T) {
	t.Parallel()
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

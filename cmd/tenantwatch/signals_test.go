package main

import (
	"bytes"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// TestX48SIGHUPDoesNotEndServe: many programs read their settings again at it, and logrotate and systemd send it.
func TestX48SIGHUPDoesNotEndServe(t *testing.T) {
	t.Parallel()
	hangsUp(t)
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
	hangsUp(t)
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

// TestX48SIGHUPWhileTheDatabaseIsOpened does the same: a migration may take hours, and certificates are renewed meanwhile. The
// database takes connections and never answers.
func TestX48SIGHUPWhileTheDatabaseIsOpened(t *testing.T) {
	t.Parallel()
	hangsUp(t)
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	folder := t.TempDir()
	certFile, keyFile, secret := folder+"/cert", folder+"/key", folder+"/secret"
	if err := os.WriteFile(secret, []byte(strings.Repeat("0f", encryptionKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	selfSigned(t, certFile, keyFile, 1)
	serve := startProcess(t, nil, "serve", "--db", "postgres://u@"+silent.Addr().String()+"/db?sslmode=disable",
		"--environment", "staging", "--encryption-key-file", secret, "--redis-url", "redis://127.0.0.1:1",
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--tls-cert", certFile, "--tls-key", keyFile)
	conn, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	selfSigned(t, certFile, keyFile, 2)
	if err := serve.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	serve.await(&serve.err, "SIGHUP: ")
	if said := serve.err.String(); !strings.Contains(said, "SIGHUP: the renewed certificate is taken up") {
		t.Errorf("it says\n%s", said)
	}
	serve.interrupt()
}

// TestX48SIGHUPBeforeAnythingIsRead says nothing of what the manager has.
func TestX48SIGHUPBeforeAnythingIsRead(t *testing.T) {
	var out bytes.Buffer
	(*manager)(nil).hungUp(t.Context(), slog.New(slog.NewTextHandler(&out, nil)))
	if said := out.String(); !strings.Contains(said, "SIGHUP: the manager is starting") || strings.Contains(said, "no certificate") {
		t.Errorf("it says %s", said)
	}
}

// hangsUp lets processes that are started begin with SIGHUP as it is by default, even below nohup.
func hangsUp(t *testing.T) {
	t.Helper()
	hungUp := make(chan os.Signal, 1)
	signal.Notify(hungUp, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hungUp) })
}

// TestX48SIGHUPEndsTheOthers: it is what a terminal sends that is closed.
func TestX48SIGHUPEndsTheOthers(t *testing.T) {
	t.Parallel()
	hangsUp(t)
	dev := startProcess(t, nil, "dev", "--no-churn", "--json")
	ready := dev.ready()
	follow := ready.follow(t)
	follow.await(&follow.err, "live with")
	for _, p := range []*launched{follow, dev} {
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

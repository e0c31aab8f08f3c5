package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/abuse"
)

const (
	benchEnvironment = "bench"
	// benchGrace is how long a child may take to end.
	benchGrace = 5 * time.Second
)

// bench is what bench abuse starts. Each is a process of its own, as it is in real life.
type bench struct {
	dir     string
	closers []func() error
}

func (b *bench) close() error {
	var errs []error
	for i := range b.closers {
		errs = append(errs, b.closers[len(b.closers)-1-i]())
	}
	return errors.Join(errs...)
}

// folder has what the children need, and is gone at the end.
func (b *bench) folder() error {
	if b.dir != "" {
		return nil
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "tenantwatch-bench-"); err != nil {
		return err
	}
	b.closers = append(b.closers, func() error { return os.RemoveAll(b.dir) })
	return writeCertificate(b.file("cert.pem"), b.file("key.pem"))
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

// manager starts one, with its first token.
func (b *bench) manager(ctx context.Context, maxStreams int) (abuse.Target, error) {
	if err := b.folder(); err != nil {
		return abuse.Target{}, err
	}
	secret := make([]byte, encryptionKey)
	_, _ = rand.Read(secret) // it never fails
	if err := os.WriteFile(b.file("encryption-key"), []byte(hex.EncodeToString(secret)), 0o600); err != nil {
		return abuse.Target{}, err
	}
	d := database{dsn: schemeSQLite + b.file("tenants.db"), environment: benchEnvironment, keyFile: b.file("encryption-key")}
	token, err := d.createToken(ctx, "bench")
	if err != nil {
		return abuse.Target{}, err
	}
	line, err := b.start(ctx, "serve", "--json", "--db", d.dsn, "--environment", d.environment, "--encryption-key-file", d.keyFile,
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--tls-cert", b.file("cert.pem"), "--tls-key", b.file("key.pem"),
		"--max-streams", strconv.Itoa(maxStreams), "--redis-url", "redis://127.0.0.1:1") // nothing is there; events wait
	if err != nil {
		return abuse.Target{}, err
	}
	var ready serveReady
	if err := json.Unmarshal(line, &ready); err != nil {
		return abuse.Target{}, fmt.Errorf("the manager said %.200q: %w", line, err)
	}
	target, err := b.target(ready.ManagerURL)
	target.Token = string(token.Token)
	return target, err
}

// decoy starts what is attacked for comparison.
func (b *bench) decoy(ctx context.Context, maxStreams int) (abuse.Target, error) {
	if err := b.folder(); err != nil {
		return abuse.Target{}, err
	}
	line, err := b.start(ctx, "bench", "decoy", "--cert", b.file("cert.pem"), "--key", b.file("key.pem"), "--streams", strconv.Itoa(abuse.ShareOf(maxStreams)))
	if err != nil {
		return abuse.Target{}, err
	}
	return b.target(strings.TrimSpace(string(line)))
}

func (b *bench) target(at string) (abuse.Target, error) {
	roots := x509.NewCertPool()
	cert, err := os.ReadFile(b.file("cert.pem"))
	roots.AppendCertsFromPEM(cert)
	return abuse.Target{URL: at, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, err
}

// start runs this program again, with no settings from outside, and returns its first line.
func (b *bench) start(ctx context.Context, args ...string) ([]byte, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := exec.CommandContext(context.WithoutCancel(ctx), program, args...) //nolint:gosec // ourselves
	child.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + b.dir}
	var said bytes.Buffer
	child.Stderr = &said // read when it has ended
	out, err := child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := child.Start(); err != nil {
		return nil, err
	}
	b.closers = append(b.closers, func() error { return endChild(child) })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		_ = endChild(child)
		return nil, fmt.Errorf("%s did not start: %w\n%s", args[0], err, said.String())
	}
	return line, nil
}

// endChild asks first.
func endChild(child *exec.Cmd) error {
	if child.ProcessState != nil {
		return nil
	}
	killing := time.AfterFunc(benchGrace, func() { _ = child.Process.Kill() })
	defer killing.Stop()
	if err := child.Process.Signal(os.Interrupt); err != nil {
		_ = child.Process.Kill()
	}
	_ = child.Wait() // however it ends
	return nil
}

// writeCertificate makes one for this machine alone.
func writeCertificate(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	)
}

// benchDecoyCommand is for bench abuse alone.
type benchDecoyCommand struct {
	Cert    string `required:""`
	Key     string `required:""`
	Streams int    `required:""`
}

// Run serves until ctx ends.
func (c *benchDecoyCommand) Run(ctx context.Context, std streams) error {
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{cert}}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: abuse.Decoy(c.Streams), ReadHeaderTimeout: benchGrace, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn)}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := std.out.line("https://%s", listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(tls.NewListener(listener, config)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// serving is a manager that runs as a process of its own.
type serving struct {
	*launched

	ready serveReady
	redis *testserver.Redis
	env   []string // of commands that talk to it
	serve []string // the same, of serve itself
	more  []string // arguments of serve
}

// startServe starts a manager on a database and a Redis of its own, and makes its first token before that.
func startServe(t *testing.T, dsn string, more ...string) *serving {
	t.Helper()
	redis := testserver.StartRedis(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("0f", encryptionKey)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &serving{redis: redis, more: more, serve: []string{
		"TENANTWATCH_DB=" + dsn, "TENANTWATCH_ENVIRONMENT=staging", "TENANTWATCH_ENCRYPTION_KEY_FILE=" + key,
		"TENANTWATCH_REDIS_URL=redis://" + redis.Addr(), "TENANTWATCH_LISTEN=127.0.0.1:0", "TENANTWATCH_ADMIN_LISTEN=127.0.0.1:0",
	}}
	s.launched = &launched{t: t}
	token := s.run(s.serve, "token", "create", "--db", dsn)
	s.env = []string{"TENANTWATCH_TOKEN=" + strings.TrimSpace(token), "TENANTWATCH_REDIS_URL=redis://" + redis.Addr()}
	s.start()
	return s
}

// start starts it, again if it has ended.
func (s *serving) start() {
	s.t.Helper()
	s.launched = startProcess(s.t, s.serve, append([]string{"serve", "--json"}, s.more...)...)
	s.await(&s.out, "\n")
	line, _, _ := strings.Cut(s.out.String(), "\n")
	if err := json.Unmarshal([]byte(line), &s.ready); err != nil {
		s.t.Fatalf("%v in %q", err, line)
	}
}

// command runs a command against it and returns what it says.
func (s *serving) command(args ...string) string {
	s.t.Helper()
	return s.run(append(s.env, "TENANTWATCH_URL="+s.ready.ManagerURL), args...)
}

func (s *serving) run(env []string, args ...string) string {
	s.t.Helper()
	path, err := exec.LookPath("tenantwatch")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "GORACE=" + noNap}, env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, &stderr)
	}
	return string(out)
}

// tenant makes a tenant that is active for a service, and returns its id.
func (s *serving) tenant(name, service string) string {
	s.t.Helper()
	var created struct{ ID string }
	if err := json.Unmarshal([]byte(s.command("tenant", "create", name, "--json")), &created); err != nil {
		s.t.Fatal(err)
	}
	s.command("service", "associate", created.ID, service)
	return created.ID
}

// What a new user does, on each database, with a real Redis, and a manager that is killed.
func TestServeOnEachDatabase(t *testing.T) {
	t.Parallel()
	databases := map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "t.db") },
		"PostgreSQL": func(t *testing.T) string { return testserver.SharedPostgres(t).Database(t) },
	}
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServe(t, open(t))
			apiKey := strings.TrimSpace(s.command("key", "create", "--service", "ledger"))
			follow := startProcess(t, append(s.env, "TENANTWATCH_API_KEY="+apiKey, "TENANTWATCH_URL="+s.ready.ManagerURL),
				"follow", "--service", "ledger", "--environment", "staging")
			follow.await(&follow.err, "live with 0 tenants")
			began := time.Now()
			id := s.tenant("Acme", "ledger")
			follow.await(&follow.out, "+  "+id+"  tenant.service.associated\n")
			t.Logf("created, associated and told within %s", time.Since(began))

			s.serve = append(s.serve, "TENANTWATCH_LISTEN="+strings.TrimPrefix(s.ready.ManagerURL, "http://"))
			if err := s.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = s.cmd.Wait() // it was killed
			s.start()
			s.command("tenant", "suspend", id)
			follow.await(&follow.out, "-  "+id+"  tenant.suspended\n")
			if events := s.command("events", "--json"); strings.Count(events, "\n") != 3 {
				t.Errorf("after the restart the events are\n%s", events)
			}
			follow.interrupt()
			s.interrupt()
			for _, p := range []*launched{follow, s.launched} {
				assertNoSecrets(t, p, apiKey, "twt_", strings.Repeat("0f", encryptionKey))
			}
		})
	}
}

// TestS05NothingStartsWithoutCredentials: no token that somebody might know is made on the way, and one that was revoked is
// none.
func TestS05NothingStartsWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := startServe(t, "sqlite:"+filepath.Join(t.TempDir(), "t.db"))
	var token struct{ ID string }
	if err := json.Unmarshal([]byte(s.command("token", "list", "--json")), &token); err != nil || token.ID == "" {
		t.Fatalf("not one token: %+v, %v", token, err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, credentials := range []string{"", "admin", "admin:admin", "changeme", "twt_", "test"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.ready.ManagerURL+"/v1/admin/tokens", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+credentials)
		req.Header.Set("X-Api-Key", credentials)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("with %q: %s", credentials, resp.Status)
		}
	}
	s.command("token", "revoke", token.ID, "--force")
	s.interrupt()
	again := startProcess(t, s.serve, "serve")
	if err := again.cmd.Wait(); again.cmd.ProcessState.ExitCode() != exitLasting {
		t.Errorf("it ended with %v", err)
	}
	if out, log := again.out.String(), again.err.String(); out != "" || !strings.Contains(log, "tenantwatch token create --db") {
		t.Errorf("it says\n%s\n%s", out, log)
	}
}

// TestX40WithKeysAndNoTokenItStarts, and says so: services go on reading.
func TestX40WithKeysAndNoTokenItStarts(t *testing.T) {
	t.Parallel()
	s := startServe(t, "sqlite:"+filepath.Join(t.TempDir(), "t.db"))
	s.command("key", "create", "--service", "ledger")
	var token struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(s.command("token", "list", "--json")), &token); err != nil {
		t.Fatal(err)
	}
	s.command("token", "revoke", token.ID, "--force")
	s.interrupt()
	again := startProcess(t, s.serve, "serve")
	again.await(&again.out, "The API is at")
	again.interrupt()
	if log := again.err.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "there is no token") || !strings.Contains(log, "token create --db") {
		t.Errorf("the log says\n%s", log)
	}
}

func TestS07ServeSpeaksTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	selfSigned(t, certFile, keyFile, 1)
	s := startServe(t, "sqlite:"+filepath.Join(dir, "t.db"), "--tls-cert", certFile, "--tls-key", keyFile)
	if !strings.HasPrefix(s.ready.ManagerURL, "https://") || !strings.HasPrefix(s.ready.AdminURL, "https://") {
		t.Errorf("it is at %s and %s", s.ready.ManagerURL, s.ready.AdminURL)
	}
	s.env = append(s.env, "SSL_CERT_FILE="+certFile)
	s.command("tenant", "create", "Acme")
	address := strings.TrimPrefix(s.ready.ManagerURL, "https://")
	if serial, protocol := peer(t, address, tls.VersionTLS12); serial != 1 || protocol != "h2" {
		t.Errorf("certificate %d, protocol %q", serial, protocol)
	}
	if _, err := dialTLS(t, address, tls.VersionTLS11); err == nil {
		t.Error("it speaks TLS 1.1")
	}
	s.interrupt()
}

// peer returns what the server shows.
func peer(t *testing.T, address string, version uint16) (serial int64, protocol string) {
	t.Helper()
	state, err := dialTLS(t, address, version)
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].SerialNumber.Int64(), state.NegotiatedProtocol
}

func dialTLS(t *testing.T, address string, version uint16) (tls.ConnectionState, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{
		InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: version, NextProtos: []string{"h2"}, //nolint:gosec // to see what is refused
	}}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState(), nil
}

// selfSigned writes a certificate for 127.0.0.1 that it signed itself, and its key.
func selfSigned(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestEncryptionKeyFiles(t *testing.T) {
	want := make([]byte, encryptionKey)
	for i := range want {
		want[i] = byte(251 - i)
	}
	tests := []struct {
		name, text string
		ok         bool
	}{
		{"hex", "fbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0dfdedddc", true},
		{"hex in capitals, with an end of line", "FBFAF9F8F7F6F5F4F3F2F1F0EFEEEDECEBEAE9E8E7E6E5E4E3E2E1E0DFDEDDDC\r\n", true},
		{"base64", "+/r5+Pf29fTz8vHw7+7t7Ovq6ejn5uXk4+Lh4N/e3dw=\n", true},
		{"base64 without its end", "+/r5+Pf29fTz8vHw7+7t7Ovq6ejn5uXk4+Lh4N/e3dw", true},
		{"base64 for URLs", "-_r5-Pf29fTz8vHw7-7t7Ovq6ejn5uXk4-Lh4N_e3dw", true},
		{"a byte short", "fbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0dfdedd", false},
		{"a byte more", "fbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0dfdedddc00", false},
		{"raw bytes", string(want), false},
		{"nothing", "\n", false},
		{"large", strings.Repeat("canary", maxKeyFile), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			key, err := readEncryptionKey(t.Context(), path)
			if (err == nil) != tt.ok || tt.ok && !bytes.Equal(key, want) {
				t.Errorf("%x, %v", key, err)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("it shows in %v", err)
			}
		})
	}
}

func TestServeSettings(t *testing.T) {
	sources := map[string]string{
		"TENANTWATCH_ENVIRONMENT": "staging", "TENANTWATCH_ENCRYPTION_KEY_FILE": "key",
		"TENANTWATCH_DB":        "postgres://someone:canary@db.example.com/tenants?sslpassword=canary",
		"TENANTWATCH_REDIS_URL": "rediss://someone:canary@redis.example.com:7000/2",
		"TENANTWATCH_CHANNELS":  "both", "TENANTWATCH_KEEP_EVENTS": "1h", "TENANTWATCH_RATE_LIMIT": "2.5",
		"TENANTWATCH_SHUTDOWN_DELAY": "3s", "TENANTWATCH_LISTEN": "0.0.0.0:80",
		"TENANTWATCH_REDIS_ADDRS": "a:1, b:2,c:3", "TENANTWATCH_REDIS_MASTER": "m", "TENANTWATCH_REDIS_SENTINEL_PASSWORD": "canary-2",
	}
	c := serveCommand{Channels: "tenant", tlsFlags: tlsFlags{Insecure: true}}
	s, err := c.settings(func(name string) string { return sources[name] })
	if err != nil {
		t.Fatal(err)
	}
	if s.dsn != sources["TENANTWATCH_DB"] || s.channels.String() != "tenant" || s.keepEvents != time.Hour || s.rateLimit != 2.5 ||
		s.shutdownDelay != 3*time.Second || s.listen != "0.0.0.0:80" || s.admin != defaultAdminListen || s.environment != "staging" {
		t.Errorf("got %+v", s)
	}
	r := s.redis
	if r.Host != "" || len(r.Addrs) != 3 || r.Addrs[1] != "b:2" || r.MasterName != "m" || r.Username != "someone" || r.Password != "canary" ||
		r.SentinelPassword != "canary-2" || !r.TLS || r.DB != 2 {
		t.Errorf("Redis is %+v", r)
	}
	shown := fmt.Sprintf("%v %s", s.found, s.redisURL())
	if strings.Contains(shown, "canary") || !strings.Contains(shown, "db.example.com") || !strings.Contains(shown, "{channels tenant --channels}") {
		t.Errorf("it shows %s", shown)
	}
}

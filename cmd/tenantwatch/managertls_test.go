package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs certificates, into files of its folder.
type authority struct {
	t      *testing.T
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, folder: t.TempDir()}
	a.cert, a.key = a.issue("ca", nil)
	return a
}

// issue writes NAME.pem and NAME.key. Without an issuer the certificate is its own.
func (a *authority) issue(name string, issuer *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: issuer == nil,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	err = errors.Join(
		os.WriteFile(a.file(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	cert, parseErr := x509.ParseCertificate(der)
	if err := errors.Join(err, parseErr); err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) file(name string) string { return filepath.Join(a.folder, name) }

// startMutual starts a manager whose certificate is for "manager.internal" and that asks for one of the same authority.
func startMutual(t *testing.T, a *authority, manager http.Handler) *httptest.Server {
	t.Helper()
	a.issue("manager.internal", a)
	pair, err := tls.LoadX509KeyPair(a.file("manager.internal.pem"), a.file("manager.internal.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	server := httptest.NewUnstartedServer(manager)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestX11CommandsShowTheManagerACertificate(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	ours.issue("client", ours)
	others.issue("client", others)
	server := startMutual(t, ours, newFakeManager().handler())
	t.Setenv("TENANTWATCH_TOKEN", fakeToken)
	ca, name := []string{"--manager-ca-file", ours.file("ca.pem")}, []string{"--manager-server-name", "manager.internal"}
	own := []string{"--manager-cert", ours.file("client.pem"), "--manager-key", ours.file("client.key")}
	foreign := []string{"--manager-cert", others.file("client.pem"), "--manager-key", others.file("client.key")}
	tests := []struct {
		name  string
		flags [][]string
		code  int
		want  string
	}{
		{"all of it", [][]string{ca, name, own}, exitDone, ""},
		{"no authority", [][]string{name, own}, exitFailure, "name the authority with --manager-ca-file"},
		{"no name", [][]string{ca, own}, exitFailure, "is for another name"},
		{"no certificate", [][]string{ca, name}, exitFailure, "check the certificate that it wants of us, in --manager-cert and --manager-key"},
		{"a certificate of others", [][]string{ca, name, foreign}, exitFailure, "check the certificate that it wants of us"},
		{"a certificate without its key", [][]string{ca, name, own[:2]}, exitUsage, "need each other"},
		{"a key of another", [][]string{ca, name, own[:2], foreign[2:]}, exitUsage, "--manager-cert and --manager-key: "},
		{"an authority that is none", [][]string{{"--manager-ca-file", ours.file("ca.key")}}, exitUsage, "no certificate in PEM form"},
		{"no TLS", [][]string{ca, {"--manager-url", "http://127.0.0.1:1"}}, exitUsage, "are for TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"tenant", "list", "--json"}
			if !strings.Contains(fmt.Sprint(tt.flags), "--manager-url") {
				args = append(args, "--manager-url", server.URL)
			}
			for _, flags := range tt.flags {
				args = append(args, flags...)
			}
			var out strings.Builder
			code, stderr := call(t.Context(), &out, args...)
			if code != tt.code || !strings.Contains(stderr, tt.want) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, tt.code, tt.want, stderr)
			}
		})
	}
}

// TestX11TheSameByVariables: and a renewed certificate is taken up.
func TestX11TheSameByVariables(t *testing.T) {
	ours := newAuthority(t)
	ours.issue("client", ours)
	env := map[string]string{
		"TENANTWATCH_URL": "https://h", "TENANTWATCH_TOKEN": "t", "TENANTWATCH_MANAGER_CA_FILE": ours.file("ca.pem"),
		"TENANTWATCH_MANAGER_SERVER_NAME": "manager.internal", "TENANTWATCH_MANAGER_CERT": ours.file("client.pem"),
		"TENANTWATCH_MANAGER_KEY": ours.file("client.key"),
	}
	l := &lookup{getenv: func(name string) string { return env[name] }}
	cfg := (&managerTLSFlags{}).resolve(l, "https://h")
	if len(l.problems) > 0 || cfg == nil || cfg.ServerName != "manager.internal" || cfg.RootCAs == nil {
		t.Fatalf("%+v, %q", cfg, l.problems)
	}
	serial := func() string {
		t.Helper()
		shown, err := cfg.GetClientCertificate(&tls.CertificateRequestInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return shown.Leaf.SerialNumber.String()
	}
	before := serial()
	ours.issue("client", ours)
	for deadline := time.Now().Add(patience); serial() == before; { // it looks once a second
		if time.Now().After(deadline) {
			t.Fatal("the renewed certificate is not taken up")
		}
	}
}

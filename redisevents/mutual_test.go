package redisevents

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// issuer is an authority whose certificates are for names, and no address.
type issuer struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{key: key, cert: cert, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue writes a certificate for a name, and its key, into files.
func (i *issuer) issue(t *testing.T, name, certFile, keyFile string) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, &key.PublicKey, i.key)
	if err != nil {
		t.Fatal(err)
	}
	inDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: inDER}))
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// startMutual starts a server that asks for a certificate of the issuer, and has one for "redis.internal".
func startMutual(t *testing.T, i *issuer) (Config, *testserver.Redis) {
	t.Helper()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	i.issue(t, "redis.internal", in("server.pem"), in("server.key"))
	i.issue(t, "a-service", in("client.pem"), in("client.key"))
	write(t, in("ca.pem"), i.pem)
	redis := testserver.StartRedis(t, "--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "yes",
		"--tls-cert-file", in("server.pem"), "--tls-key-file", in("server.key"), "--tls-ca-cert-file", in("ca.pem"))
	cfg := configOf(redis)
	cfg.TLS, cfg.CACertBase64, cfg.TLSServerName = true, base64.StdEncoding.EncodeToString(i.pem), "redis.internal"
	cfg.ClientCert, cfg.ClientKey = in("client.pem"), in("client.key")
	return cfg, redis
}

func TestX11MutualTLS(t *testing.T) {
	cfg, redis := startMutual(t, newIssuer(t))
	expectAll(t, newFeed(t, cfg, environment), newPublisher(t, cfg, EnvironmentChannel), 20)

	// The error says which side refused what.
	stranger, nameless, unnamed := cfg, cfg, cfg
	dir := t.TempDir()
	stranger.ClientCert, stranger.ClientKey = filepath.Join(dir, "c"), filepath.Join(dir, "k")
	newIssuer(t).issue(t, "stranger", stranger.ClientCert, stranger.ClientKey)
	nameless.ClientCert, nameless.ClientKey = "", ""
	unnamed.TLSServerName = ""
	distrust := cfg
	distrust.CACertBase64 = ""
	plain := (&scriptedServer{}).start(t)
	plain.TLS = true
	for name, tt := range map[string]struct {
		cfg  Config
		want string
	}{
		"no certificate":           {nameless, "the server refused our certificate, or the lack of one"},
		"one of another authority": {stranger, "the server refused our certificate"},
		"no name for the server":   {unnamed, "we refused the server's certificate"},
		"no authority":             {distrust, "we refused the server's certificate"},
		"a server without TLS":     {plain, "does not speak TLS"},
	} {
		if err := firstLoss(t, tt.cfg); !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: lost: %v, want it to say %q", name, err, tt.want)
		}
		if err := newPublisher(t, tt.cfg, EnvironmentChannel).Publish(t.Context(), numbered(1)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: published: %v, want it to say %q", name, err, tt.want)
		}
	}
	redis.Kill()
}

// TestX11ARenewedPairIsTakenUp, and one that is half replaced is not.
func TestX11ARenewedPairIsTakenUp(t *testing.T) {
	i := newIssuer(t)
	cfg, redis := startMutual(t, i)
	var got recorder
	listen(t, newFeed(t, cfg, environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	first, err := os.ReadFile(cfg.ClientCert)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	i.issue(t, "a-service", cfg.ClientCert, other) // and the key is still the old one
	redis.Kill()
	redis.Start()
	got.wait(t, tenant.SignalSubscribed, 2)

	pair := &clientPair{cert: cfg.ClientCert, key: cfg.ClientKey}
	if _, err := pair.read(); err == nil {
		t.Fatal("a certificate and the key of another were taken")
	}
	write(t, cfg.ClientCert, first)
	old, err := pair.read()
	if err != nil {
		t.Fatal(err)
	}
	i.issue(t, "a-service", cfg.ClientCert, cfg.ClientKey)
	renewed, err := pair.read()
	if err != nil || bytes.Equal(renewed.Certificate[0], old.Certificate[0]) {
		t.Errorf("the renewed pair was not taken up: %v", err)
	}
	if err := errors.Join(os.Remove(cfg.ClientCert), os.Remove(cfg.ClientKey)); err != nil {
		t.Fatal(err)
	}
	if last, err := pair.read(); err != nil || last != renewed {
		t.Errorf("without files: %v", err)
	}
}

// TestX11FilesThatAreNotThere are told at once, not at the first connection.
func TestX11FilesThatAreNotThere(t *testing.T) {
	cfg := Config{Host: "redis", TLS: true, ClientCert: "/nowhere/cert.pem", ClientKey: "/nowhere/key.pem"}
	_, feedErr := NewPubSub(cfg, environment)
	_, streamErr := NewStream(cfg, environment)
	_, publisherErr := NewPublisher(PublisherConfig{Redis: cfg})
	for _, err := range []error{feedErr, streamErr, publisherErr} {
		if err == nil || !strings.Contains(err.Error(), "ClientCert") || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	}
}

package redisevents

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestUsernameAndPassword(t *testing.T) {
	redis := testserver.StartRedis(t)
	redis.Do(t.Context(), "ACL", "SETUSER", "listener", "on", ">"+canary, "resetchannels", "&tenant-events:*",
		"&tenant-heartbeat:*", "-@all", "+subscribe", "+psubscribe", "+ping")
	redis.Do(t.Context(), "ACL", "SETUSER", "publisher", "on", ">"+canary, "resetchannels", "&tenant-events:*",
		"&tenant-heartbeat:*", "-@all", "+publish")
	listener, publisher := configOf(redis), configOf(redis)
	listener.Username, listener.Password, listener.DB = "listener", canary, 3
	publisher.Username, publisher.Password = "publisher", canary
	for _, env := range []string{environment, ""} {
		announcer := newPublisher(t, publisher, EnvironmentChannel)
		expectAll(t, newFeed(t, listener, env), announcer, 10)
		if err := announcer.Heartbeat(t.Context(), env, tenant.Version{Epoch: "e"}); err != nil {
			t.Error(err)
		}
	}
	redis.Do(t.Context(), "ACL", "SETUSER", "listener", "resetchannels", "&tenant-events:staging:", "&tenant-heartbeat:staging", "-psubscribe")
	expectAll(t, newFeed(t, listener, environment), newPublisher(t, publisher, EnvironmentChannel), 10)
	if refused, _ := redis.Do(t.Context(), "ACL", "LOG").([]any); len(refused) != 0 {
		t.Errorf("asked for more than it was given: %v", refused)
	}
	err := newPublisher(t, listener, EnvironmentChannel).Publish(t.Context(), numbered(1))
	if !errors.Is(err, ErrRefused) {
		t.Errorf("published without the right: %v", err)
	}
}

func TestPasswordOfTheDefaultUser(t *testing.T) {
	redis := testserver.StartRedis(t, "--requirepass", canary)
	cfg := configOf(redis)
	var got recorder
	listen(t, newFeed(t, cfg, environment), got.sink)
	if lost := got.wait(t, tenant.SignalLost, 1)[0]; !errors.Is(lost.Err, ErrRefused) {
		t.Errorf("without a password: %v", lost.Err)
	}
	cfg.Password = canary
	expectAll(t, newFeed(t, cfg, environment), newPublisher(t, cfg, EnvironmentChannel), 10)
}

func TestAnOldServerThatQuotesThePassword(t *testing.T) {
	for name, cfg := range map[string]Config{
		"a server":   {Host: "fake", Password: canary},
		"a Sentinel": {Addrs: []string{"fake:1"}, MasterName: "m", SentinelPassword: canary},
	} {
		t.Run(name, func(t *testing.T) {
			feed := newFeed(t, cfg, environment)
			fakeServer(t, feed, true, func(net.Conn, *bufio.Scanner) {})
			var got recorder
			listen(t, feed, got.sink)
			text := got.wait(t, tenant.SignalLost, 1)[0].Err.Error()
			if strings.Contains(text, canary) || !strings.Contains(text, redacted) {
				t.Errorf("lost: %s", text)
			}
			if n := got.count(tenant.SignalSubscribed); n != 0 {
				t.Errorf("told %d times of a subscription", n)
			}
		})
	}
}

// authority makes a certificate for 127.0.0.1 that it signed itself, writes it and its key as files for the server, and
// returns them with the certificate in base64.
func authority(t *testing.T) (certFile, keyFile, inBase64 string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	if err := errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, base64.StdEncoding.EncodeToString(certPEM)
}

func startTLS(t *testing.T, more ...string) (Config, *testserver.Redis) {
	t.Helper()
	certFile, keyFile, inBase64 := authority(t)
	redis := testserver.StartRedis(t, append([]string{
		"--port", "0", "--tls-port", "{port}", "--tls-auth-clients", "no",
		"--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", certFile,
	}, more...)...)
	cfg := configOf(redis)
	cfg.TLS, cfg.CACertBase64 = true, inBase64
	return cfg, redis
}

func TestS07TLS(t *testing.T) {
	cfg, _ := startTLS(t)
	expectAll(t, newFeed(t, cfg, environment), newPublisher(t, cfg, EnvironmentChannel), 50)

	t.Run("unknown authority", func(t *testing.T) {
		other := cfg
		other.CACertBase64 = ""
		var unknown x509.UnknownAuthorityError
		if err := firstLoss(t, other); !errors.As(err, &unknown) {
			t.Errorf("lost: %v", err)
		}
		if err := newPublisher(t, other, EnvironmentChannel).Publish(t.Context(), numbered(1)); !errors.As(err, &unknown) {
			t.Errorf("published: %v", err)
		}
	})
	t.Run("another host", func(t *testing.T) {
		other := cfg
		other.Host = "localhost" // which the certificate does not name
		var wrongHost x509.HostnameError
		if err := firstLoss(t, other); !errors.As(err, &wrongHost) {
			t.Errorf("lost: %v", err)
		}
	})
	t.Run("silence", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(cfg.addrs()[0])
		proxy := testserver.NewProxy(t, net.JoinHostPort("127.0.0.1", port))
		other := cfg
		other.Port, other.SilenceLimit = proxy.Port(), shortLimit
		var got recorder
		listen(t, newFeed(t, other, environment), got.sink)
		got.wait(t, tenant.SignalSubscribed, 1)
		proxy.Set(testserver.Trickle)
		if err := got.wait(t, tenant.SignalLost, 1)[0].Err; !errors.Is(err, ErrSilent) {
			t.Errorf("lost: %v", err)
		}
		proxy.Set(testserver.Pass)
		got.wait(t, tenant.SignalSubscribed, 2)
	})
}

func TestS07TLSRefusesOldVersions(t *testing.T) {
	certFile, keyFile, inBase64 := authority(t)
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	old := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // the point of it
	listener, err := tls.Listen("tcp", "127.0.0.1:0", old)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // does the handshake
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	err = firstLoss(t, Config{Addrs: []string{listener.Addr().String()}, TLS: true, CACertBase64: inBase64})
	if !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("lost: %v", err)
	}
}

// firstLoss returns the reason of the first attempt, which has to fail.
func firstLoss(t *testing.T, cfg Config) error {
	t.Helper()
	var got recorder
	stop := listen(t, newFeed(t, cfg, environment), got.sink)
	defer stop()
	lost := got.wait(t, tenant.SignalLost, 1)[0]
	if first := got.all()[0]; first.Kind != tenant.SignalLost {
		t.Errorf("the first signal is %s", first.Kind)
	}
	return lost.Err
}

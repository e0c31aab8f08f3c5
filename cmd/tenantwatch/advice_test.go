package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// TestX48AdviceGoesByTheCause: what is to be done depends on what happened and not on where it was noticed.
func TestX48AdviceGoesByTheCause(t *testing.T) {
	expired := x509.CertificateInvalidError{Reason: x509.Expired}
	for want, err := range map[string]error{
		"signed by nobody that this machine trusts": &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
		"is for another name":                       x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"},
		"has expired":                               expired,
		"cannot be used":                            x509.CertificateInvalidError{Reason: x509.IncompatibleUsage},
		"does not speak TLS":                        tls.RecordHeaderError{},
		"has refused the handshake":                 &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")},
		"the host h is not known":                   &net.DNSError{Name: "h", IsNotFound: true},
		"Check the name server":                     &net.DNSError{Name: "h", IsTemporary: true},
		"Check the network":                         syscall.EHOSTUNREACH,
	} {
		wrapped := fmt.Errorf("%w: %w", managerapi.ErrUnavailable, err)
		s := settings{key: keySource{name: "--api-key-file"}}
		inDatabase := database{dsn: "postgres://h/n"}.explain(fmt.Errorf("%w: %w", store.ErrUnavailable, err))
		failed, _ := errors.AsType[*failure](inDatabase)
		for from, got := range map[string]string{
			"follow": adviceFor(s, wrapped), "a command": (&session{}).advice(wrapped), "the database": failed.advice,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%v from %s: %q, want %q", err, from, got, want)
			}
		}
	}
}

// TestX48TLSErrorsOfARealManager: an authority that nobody knows, and plain HTTP where TLS was expected.
func TestX48TLSErrorsOfARealManager(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	secure, plain := httptest.NewTLSServer(answer), httptest.NewServer(answer)
	defer secure.Close()
	defer plain.Close()
	t.Setenv("TENANTWATCH_TOKEN", "t")
	for url, want := range map[string]string{
		secure.URL: "signed by nobody that this machine trusts",
		"https://" + plain.Listener.Addr().String(): "does not speak TLS",
	} {
		var out strings.Builder
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		code, stderr := call(ctx, &out, "tenant", "list", "--manager-url", url)
		cancel()
		if code != exitFailure || !strings.Contains(stderr, want) || strings.Contains(stderr, "database") {
			t.Errorf("%s: exit code %d, %s", url, code, stderr)
		}
	}
}

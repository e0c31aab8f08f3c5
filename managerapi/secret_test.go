package managerapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
)

const (
	canaryKey      = "canary-key-4711"
	canaryToken    = "canary-token-4711"
	canaryPassword = "canary-password-4711"
)

// The manager, the network and the transport repeat every credential that they were given, in every way that there is.
func TestS08NoErrorShowsACredential(t *testing.T) {
	for name, transport := range echoes() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClient(t, Config{BaseURL: "https://tm", APIKey: StaticKey(canaryKey), BearerToken: StaticKey(canaryToken), Transport: transport, Retries: 1})
				for _, err := range everyKind(t.Context(), c) {
					for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%q", err)} {
						if err == nil || strings.Contains(text, "canary") || strings.Contains(text, "4711") {
							t.Errorf("a credential shows: %s", text)
						}
					}
				}
			})
		})
	}
}

// everyKind returns the errors of a read, a list and two writes.
func everyKind(ctx context.Context, c *Client) []error {
	_, tenantErr := c.Tenant(ctx, "acme")
	_, listErr := c.GetActiveTenantsByService(ctx, "ledger")
	_, createErr := c.CreateTenant(ctx, CreateTenantRequest{Owner: Owner{PasswordHash: canaryPassword}})
	_, associateErr := c.CreateAssociation(ctx, "acme", "ledger", CreateAssociationRequest{})
	return []error{tenantErr, listErr, createErr, associateErr}
}

// heard is every credential in a request.
func heard(r *http.Request) string {
	all := r.Header.Get(HeaderAPIKey) + " " + r.Header.Get("Authorization")
	if r.URL.Path == "/v1/tenants" {
		all += " " + canaryPassword
	}
	return all
}

// echoes are transports that put heard into whatever they answer.
func echoes() map[string]roundTrip {
	details := func(status int) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			body := fmt.Sprintf(`{"code":%[1]q,"error":%[1]q,"detail":%[1]q,"status":%[1]q}`, heard(r))
			return reply(status, body, "Location", "https://evil/?"+heard(r), "Retry-After", heard(r)), nil
		}
	}
	body := func(status int, format string) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			return reply(status, strings.ReplaceAll(format, "ECHO", heard(r)), "Content-Type", "text/html; "+heard(r)), nil
		}
	}
	return map[string]roundTrip{
		"302": details(302), "401": details(401), "403": details(403), "404": details(404), "409": details(409),
		"429": details(429), "500": details(500), "503": details(503),
		"long":         body(500, `{"error":"`+strings.Repeat("x", 295)+`ECHO"}`),
		"HTML":         body(200, "<html>ECHO"),
		"wrong type":   body(200, `{"id":["ECHO"],"serviceName":["ECHO"]}`),
		"wrong number": body(200, `{"id":4711,"serviceName":4711}`),
		"url.Error": func(r *http.Request) (*http.Response, error) {
			return nil, &url.Error{Op: "Get", URL: "https://tm?" + heard(r), Err: errReset}
		},
		"transport error": func(r *http.Request) (*http.Response, error) { return nil, errors.New("malformed: " + heard(r)) },
		"cut": func(r *http.Request) (*http.Response, error) {
			resp := reply(200, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("["), failingReader{errors.New(heard(r))}))
			return resp, nil
		},
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestCredentialThatCannotBeSent(t *testing.T) {
	m := startManager(t, always(http.StatusOK, oneRow))
	fails := errors.New("vault is sealed")
	tests := []struct {
		name    string
		provide func(context.Context) (string, error)
		want    string
	}{
		{"empty", StaticKey(" \n"), "empty"},
		{"line break", StaticKey("canary\r\nX-Evil: 1"), "character"},
		{"error", func(context.Context) (string, error) { return "canary", fails }, "vault is sealed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, listErr := newClient(t, Config{BaseURL: m.URL, APIKey: tt.provide}).GetActiveTenantsByService(t.Context(), "ledger")
			writeErr := newClient(t, Config{BaseURL: m.URL, BearerToken: tt.provide}).SuspendTenant(t.Context(), "acme")
			for name, err := range map[string]error{"api key": listErr, "bearer token": writeErr} {
				if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
					t.Errorf("%s: %v", name, err)
				}
				if tt.name == "error" && !errors.Is(err, fails) {
					t.Errorf("%s: the provider's error is lost: %v", name, err)
				}
			}
		})
	}
	if n := len(m.requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestS08SecretsRedactThemselves(t *testing.T) {
	secret := SecretJSON(`{"password":"canary"}`)
	databases := map[string]DatabaseConnections{"m": {PostgreSQL: secret, MongoDB: secret, ConnectionSettings: secret}}
	values := []any{
		Secret("canary"), secret,
		Owner{Email: "a", PasswordHash: "canary"},
		CreateTenantRequest{Owner: Owner{PasswordHash: "canary"}},
		Connections{ID: "a", Databases: databases, RabbitMQ: secret, ConnectionSettings: secret},
		databases["m"],
		UpdateConnectionsRequest{Databases: databases, RabbitMQ: secret, ConnectionSettings: secret},
		&Connections{Databases: databases}, &CreateTenantRequest{Owner: Owner{PasswordHash: "canary"}},
	}
	var out bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", slog.Any("v", v))
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", slog.Any("v", v))
	}
	for _, form := range []string{"canary", fmt.Sprintf("%x", "canary"), fmt.Sprintf("%X", "canary"), "99 97 110 97 114 121", "Y2FuYXJ5"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("the secret shows as %q in\n%s", form, out.String())
		}
	}
	if data, err := json.Marshal(values[4]); err != nil || !strings.Contains(string(data), `"rabbitmq":{"password":"canary"}`) {
		t.Errorf("on the wire it is %s, %v", data, err)
	}
	if text := fmt.Sprintf("%v%v", Secret(""), SecretJSON(nil)); text != "" {
		t.Errorf("empty secrets show as %q", text)
	}
}

func TestS07TLSIsVerified(t *testing.T) {
	server := httptest.NewUnstartedServer(always(http.StatusOK, oneRow))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := newClient(t, Config{BaseURL: server.URL, BackoffBase: 1, BackoffMax: 1}).GetActiveTenantsByService(t.Context(), "ledger")
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok || !errors.Is(err, ErrUnavailable) {
		t.Errorf("an unknown certificate: %v", err)
	}
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig
	if _, err := newClient(t, Config{BaseURL: server.URL, TLS: trust}).GetActiveTenantsByService(t.Context(), "ledger"); err != nil {
		t.Errorf("a trusted certificate: %v", err)
	}
}

func TestS07OldTLSIsRefused(t *testing.T) {
	server := httptest.NewUnstartedServer(always(http.StatusOK, oneRow))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // to see it refused
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.MinVersion = tls.VersionTLS10
	_, err := newClient(t, Config{BaseURL: server.URL, TLS: trust, Retries: -1}).GetActiveTenantsByService(t.Context(), "ledger")
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("TLS 1.1: %v", err)
	}
}

package managerapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// spoilt is an error one of whose methods panics, or ends the goroutine.
type spoilt struct {
	method string
	exit   bool
}

func (s *spoilt) do(method string) {
	switch {
	case s.method == method && s.exit: // a nil receiver panics here
		runtime.Goexit()
	case s.method == method:
		panic(method + " panics")
	}
}

func (s *spoilt) Error() string { s.do("Error"); return "spoilt" }
func (s *spoilt) Unwrap() error { s.do("Unwrap"); return nil }
func (s *spoilt) Is(error) bool { s.do("Is"); return false }
func (s *spoilt) As(any) bool   { s.do("As"); return false }

type roundTripper func(r *http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type failingBody struct{ err error }

func (b failingBody) Read([]byte) (int, error) { return 0, b.err }
func (failingBody) Close() error               { return nil }

// TestX24AnErrorOfATransportWhoseMethodsPanic is one of the call, wherever it enters: no answer, a body that breaks, a provider
// of keys that fails.
func TestX24AnErrorOfATransportWhoseMethodsPanic(t *testing.T) {
	all := map[string]error{"a nil pointer": (*spoilt)(nil)}
	for _, method := range []string{"Error", "Unwrap", "Is", "As"} {
		all[method] = &spoilt{method: method}
		all[method+" ends the goroutine"] = &spoilt{method: method, exit: true}
		all[method+" deep inside"] = errors.Join(io.EOF, &spoilt{method: method})
	}
	for name, bad := range all {
		for way, cfg := range map[string]Config{
			"no answer": {Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, bad })},
			"a body": {Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: failingBody{bad}}, nil
			})},
			"the body of a refusal": {Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: failingBody{bad}}, nil
			})},
			"a key":   {APIKey: func(context.Context) (string, error) { return "", bad }},
			"a token": {BearerToken: func(context.Context) (string, error) { return "", bad }},
		} {
			t.Run(way+", "+name, func(t *testing.T) {
				cfg := cfg
				cfg.BaseURL, cfg.Retries, cfg.BackoffBase, cfg.BackoffMax, cfg.CircuitBreaker = "http://localhost:1", 1, 1, 1, &CircuitBreaker{}
				c := newClient(t, cfg)
				if _, err := c.GetActiveTenantsByService(t.Context(), "ledger"); err == nil || err.Error() == "" || errors.Is(err, context.Canceled) {
					t.Errorf("the list: %v", err)
				}
				if err := c.SuspendTenant(t.Context(), "acme"); way != "a body" && (err == nil || !strings.Contains(err.Error(), "suspend tenant")) {
					t.Errorf("a change: %v", err)
				}
			})
		}
	}
}

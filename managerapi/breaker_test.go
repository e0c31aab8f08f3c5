package managerapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCircuitBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries, status := 0, http.StatusServiceUnavailable
		c := newClient(t, Config{BaseURL: "https://tm", Retries: -1, CircuitBreaker: &CircuitBreaker{Failures: 3, OpenFor: time.Minute}, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			tries++
			return reply(status, oneRow), nil
		})})
		ask := func() error {
			_, err := c.GetActiveTenantsByService(t.Context(), "ledger")
			return err
		}
		for range 5 {
			if err := ask(); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		}
		if tries != 3 {
			t.Errorf("%d requests, want 3 and then none", tries)
		}
		if err := ask(); !strings.Contains(err.Error(), "circuit breaker is open") {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute + time.Second)
		status = http.StatusOK
		if err := ask(); err != nil || tries != 4 {
			t.Errorf("after a minute: %v, %d requests", err, tries)
		}
	})
}

func TestWhatTheBreakerCounts(t *testing.T) {
	answer := func(status int, body string) roundTrip {
		return func(*http.Request) (*http.Response, error) { return reply(status, body), nil }
	}
	tests := []struct {
		name   string
		answer roundTrip
		opens  bool
	}{
		{"200", answer(200, oneRow), false},
		{"401", answer(401, ""), false},
		{"403", answer(403, ""), false},
		{"404", answer(404, ""), false},
		{"409", answer(409, ""), false},
		{"429", answer(429, ""), false},
		{"500", answer(500, ""), true},
		{"503", answer(503, ""), true},
		{"HTML", answer(200, "<html>"), true},
		{"refused", func(*http.Request) (*http.Response, error) { return nil, errRefused }, true},
		{"time-out", func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				c := newClient(t, Config{BaseURL: "https://tm", Retries: -1, CircuitBreaker: &CircuitBreaker{}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					tries++
					return tt.answer(r)
				})})
				for range 20 {
					_, _ = c.GetActiveTenantsByService(t.Context(), "ledger")
				}
				if want := map[bool]int{true: defaultBreakerFailures, false: 20}[tt.opens]; tries < want || tries > want+1 {
					t.Errorf("%d requests, want %d", tries, want)
				}
			})
		})
	}
}

func TestBreakerDoesNotCountTheCallersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := newClient(t, Config{BaseURL: "https://tm", CircuitBreaker: &CircuitBreaker{Failures: 1}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			tries++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})})
		for n := range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			want := context.Canceled
			if n%2 == 0 {
				ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				want = context.DeadlineExceeded
			}
			time.AfterFunc(2*time.Second, cancel)
			if _, err := c.GetActiveTenantsByService(ctx, "ledger"); !errors.Is(err, want) || errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v, want %v", err, want)
			}
			cancel()
		}
		if tries != 10 {
			t.Errorf("%d requests, want 10", tries)
		}
	})
}

// A call whose retries meet an open breaker ends there, and still says what opened it.
func TestBreakerEndsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := newClient(t, Config{BaseURL: "https://tm", CircuitBreaker: &CircuitBreaker{Failures: 2}, Retries: 1000, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			tries++
			return nil, errReset
		})})
		_, err := c.GetActiveTenantsByService(t.Context(), "ledger")
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errReset) || tries != 2 {
			t.Errorf("got %v after %d requests", err, tries)
		}
	})
}

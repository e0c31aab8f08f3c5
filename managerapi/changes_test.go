package managerapi

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// changesSince asks for what has changed since e:5, and collects the events.
func changesSince(t *testing.T, c *Client) (events []string, got tenant.Changes, err error) {
	t.Helper()
	got, err = c.FetchChanges(t.Context(), tenant.ChangesRequest{
		Service: "led ger", Since: tenant.Version{Epoch: "e", Revision: 5}, Each: func(event []byte) { events = append(events, string(event)) },
	})
	if err != nil && got != (tenant.Changes{}) {
		t.Errorf("%+v beside an error", got)
	}
	return events, got, err
}

func TestChangesAreFetched(t *testing.T) {
	body := changesOf(`{"a":1}`, `{"b":2}`)
	for name, answer := range map[string]http.HandlerFunc{
		"plain":      always(http.StatusOK, body, HeaderEnvironment, " Staging "),
		"compressed": always(http.StatusOK, string(zipped(t, []byte(body))), "Content-Encoding", "gzip", HeaderEnvironment, "staging"),
	} {
		m := startManager(t, answer)
		events, got, err := changesSince(t, newClient(t, Config{BaseURL: m.URL, APIKey: StaticKey("the-key")}))
		want := tenant.Changes{Version: tenant.Version{Epoch: "e", Revision: 7}, Count: 1, Digest: 0xff, Environment: "staging"}
		if err != nil || got != want || !slices.Equal(events, []string{`{"a":1}`, `{"b":2}`}) {
			t.Errorf("%s: %q, %+v, %v", name, events, got, err)
		}
		seen := m.requests()[0]
		if seen.method != http.MethodGet || seen.uri != "/v1/tenants/active/changes?service=led+ger&since=e%3A5" || seen.header.Get(HeaderAPIKey) != "the-key" {
			t.Errorf("%s: asked %+v", name, seen)
		}
	}
}

func TestWhatAnAnswerToChangesMeans(t *testing.T) {
	gone, none := tenant.ErrChangesGone, tenant.ErrNoChanges
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   error // nil: it is neither
		and    error // what it is as well
	}{
		{"410", always(410, `{"code":"EVENTS_GONE"}`), gone, ErrGone},
		{"another epoch", always(200, strings.Replace(changesOf(), `"e"`, `"f"`, 1)), gone, nil},
		{"a lower revision", always(200, strings.Replace(changesOf(), `7`, `4`, 1)), gone, nil},
		{"an event that is too large", always(200, changesOf(`{"x":"`+strings.Repeat("x", tenant.MaxEventBytes)+`"}`)), gone, nil},
		{"a body that is too large", always(200, `{"x":[`+strings.Repeat(`"xxxxxxxx",`, 1<<20)), gone, nil},
		{"404", always(404, `{"code":"NOT_FOUND"}`), none, ErrNotFound},
		{"400", always(400, ""), none, nil},
		{"405", always(405, ""), none, nil},
		{"409", always(409, ""), none, ErrConflict},
		{"302", always(302, "", "Location", "/login"), none, nil},
		{"304", always(304, ""), none, nil},
		{"204", always(204, ""), none, nil},
		{"a page", always(200, "<html></html>", "Content-Type", "text/html"), none, nil},
		{"a list", always(200, oneRow), none, nil},
		{"nothing", always(200, ""), none, nil},
		{"another object", always(200, "{}"), none, nil},
		{"401", always(401, ""), nil, ErrUnauthorized},
		{"403", always(403, ""), nil, ErrAccessDenied},
		{"429", always(429, "", "Retry-After", "3"), nil, ErrUnavailable},
		{"500", always(500, ""), nil, nil},
		{"503", always(503, "", "Retry-After", "3"), nil, ErrUnavailable},
		{"the end is missing", always(200, changesOf()[:40]), nil, nil},
		{"something behind the end", always(200, changesOf()+"x"), nil, nil},
		{"a cut body", always(200, changesOf(), "Content-Length", "1000"), nil, ErrUnavailable},
		{"no gzip", always(200, changesOf(), "Content-Encoding", "gzip"), nil, nil},
		{"another coding", always(200, changesOf(), "Content-Encoding", "br"), nil, nil},
	} {
		m := startManager(t, tt.answer)
		_, _, err := changesSince(t, newClient(t, Config{BaseURL: m.URL, Retries: -1, ListLimit: 10 << 20}))
		if err == nil || errors.Is(err, gone) != errors.Is(tt.want, gone) || errors.Is(err, none) != errors.Is(tt.want, none) || tt.and != nil && !errors.Is(err, tt.and) {
			t.Errorf("%s: %v", tt.name, err)
		}
		delay, ok := errors.AsType[interface {
			error
			RetryDelay() time.Duration
		}](err)
		if tt.name == "429" && (!ok || delay.RetryDelay() != 3*time.Second) {
			t.Errorf("%s: the delay is lost in %v", tt.name, err)
		}
	}
}

func TestAnotherAttemptIsMadeUntilAnEventWasGiven(t *testing.T) {
	for name, tt := range map[string]struct {
		first    http.HandlerFunc
		attempts int
	}{
		"unavailable":     {always(503, ""), 2},
		"cut, no event":   {always(200, `{"epoch":"e","events":[`, "Content-Length", "1000"), 2},
		"cut, one event":  {always(200, `{"epoch":"e","events":[{},`, "Content-Length", "1000"), 1},
		"gone":            {always(410, ""), 1},
		"no such call":    {always(404, ""), 1},
		"no such content": {always(200, "[]"), 1},
	} {
		asked := 0
		m := startManager(t, func(w http.ResponseWriter, r *http.Request) {
			if asked++; asked == 1 {
				tt.first(w, r)
				return
			}
			always(200, changesOf(`{"a":1}`))(w, r)
		})
		c := newClient(t, Config{BaseURL: m.URL, Retries: 3, BackoffBase: time.Millisecond, BackoffMax: time.Millisecond})
		events, _, err := changesSince(t, c)
		if n := len(m.requests()); n != tt.attempts || (err == nil) != (n == 2) || err == nil && len(events) != 1 {
			t.Errorf("%s: %d attempts, %q, %v", name, n, events, err)
		}
	}
}

func TestChangesThatCannotBeAskedFor(t *testing.T) {
	c := newClient(t, Config{BaseURL: "https://tenants.example.com"})
	for name, req := range map[string]tenant.ChangesRequest{
		"no service": {Service: " ", Since: tenant.Version{Epoch: "e"}},
		"no epoch":   {Service: "ledger", Since: tenant.Version{Revision: 7}},
	} {
		if _, err := c.FetchChanges(t.Context(), req); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A manager that does not have the call has not failed, and the breaker stays closed.
func TestNoChangesOpenNoBreaker(t *testing.T) {
	m := startManager(t, always(404, ""))
	c := newClient(t, Config{BaseURL: m.URL, Retries: -1, CircuitBreaker: &CircuitBreaker{Failures: 2}})
	for range 5 {
		if _, _, err := changesSince(t, c); !errors.Is(err, tenant.ErrNoChanges) {
			t.Fatal(err)
		}
	}
}

package managerapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestD10NoRetryWhenRefused(t *testing.T) {
	for status, want := range map[int]error{401: ErrUnauthorized, 403: ErrAccessDenied} {
		m := startManager(t, always(status, `{"code":"c","error":"e"}`))
		both(t, newClient(t, Config{BaseURL: m.URL, APIKey: StaticKey("k")}), func(t *testing.T, err error) {
			if !errors.Is(err, want) {
				t.Errorf("status %d: got %v, want %v", status, err, want)
			}
		})
		if n := len(m.requests()); n != 2 {
			t.Errorf("status %d: %d requests for two calls", status, n)
		}
	}
}

func TestD10RotatedKeyIsPickedUp(t *testing.T) {
	var key atomic.Value
	key.Store("old")
	m := startManager(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-Key") != "new" || r.Method == http.MethodPut && r.Header.Get("Authorization") != "Bearer new" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, oneRow)
	})
	provide := func(context.Context) (string, error) { return key.Load().(string), nil }
	c := newClient(t, Config{BaseURL: m.URL, APIKey: provide, BearerToken: provide})
	if _, err := c.GetActiveTenantsByService(t.Context(), "ledger"); !errors.Is(err, ErrUnauthorized) {
		t.Fatalf("old key: %v", err)
	}
	key.Store("new")
	if _, err := c.GetActiveTenantsByService(t.Context(), "ledger"); err != nil {
		t.Errorf("new key: %v", err)
	}
	if err := c.SuspendTenant(t.Context(), "acme"); err != nil {
		t.Errorf("new token: %v", err)
	}
}

// The key is asked for again for every attempt of one call.
func TestD10RotatedKeyWithinOneCall(t *testing.T) {
	asked := 0
	provide := func(context.Context) (string, error) {
		asked++
		return strings.Repeat("k", asked), nil
	}
	m := startManager(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-API-Key") != "kkk" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, oneRow)
	})
	if _, err := newClient(t, Config{BaseURL: m.URL, APIKey: provide, BackoffBase: 1, BackoffMax: 1}).GetActiveTenantsByService(t.Context(), "ledger"); err != nil || asked != 3 {
		t.Errorf("%v after asking for the key %d times, want success after 3", err, asked)
	}
}

func TestD11WaitsAsLongAsTheManagerAsks(t *testing.T) {
	const jitter = time.Second
	tests := []struct {
		name   string
		status int
		after  func() string
		least  time.Duration
	}{
		{"429 for 7 s", 429, func() string { return "7" }, 7 * time.Second},
		{"503 for 7 s", 503, func() string { return "7" }, 7 * time.Second},
		{"HTTP date", 503, func() string { return time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat) }, 40 * time.Second},
		{"ten years", 429, func() string { return "315360000" }, MaxRetryAfter},
		{"date in ten years", 503, func() string { return time.Now().AddDate(10, 0, 0).UTC().Format(http.TimeFormat) }, MaxRetryAfter},
		{"past date", 503, func() string { return "Mon, 02 Jan 1995 15:04:05 GMT" }, 0},
		{"negative", 503, func() string { return "-7" }, 0},
		{"garbage", 503, func() string { return "soon" }, 0},
		{"none", 503, func() string { return "" }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				c := newClient(t, Config{BaseURL: "https://tm", BackoffBase: jitter, BackoffMax: jitter, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					tries++
					if tries == 1 {
						return reply(tt.status, "", "Retry-After", tt.after()), nil
					}
					return reply(http.StatusOK, oneRow), nil
				})})
				start := time.Now()
				_, err := c.GetActiveTenantsByService(t.Context(), "ledger")
				if waited := time.Since(start); err != nil || tries != 2 || waited < tt.least || waited > tt.least+jitter {
					t.Errorf("%v, %d tries, waited %s; want %s and at most %s more", err, tries, waited, tt.least, jitter)
				}
			})
		})
	}
}

func TestD11TellsRetryAfter(t *testing.T) {
	m := startManager(t, always(http.StatusTooManyRequests, "", "Retry-After", "7"))
	both(t, newClient(t, Config{BaseURL: m.URL, Retries: -1}), func(t *testing.T, err error) {
		answer, ok := errors.AsType[*Error](err)
		if !ok || answer.RetryAfter != 7*time.Second || !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v, want an *Error with 7 s", err)
		}
	})
}

// A wait that would end after the deadline is not begun.
func TestD11DoesNotSleepPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{BaseURL: "https://tm", Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return reply(http.StatusServiceUnavailable, "", "Retry-After", "30"), nil
		})})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.GetActiveTenantsByService(ctx, "ledger")
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %s", waited)
		}
		if answer, ok := errors.AsType[*Error](err); !ok || answer.RetryAfter != 30*time.Second || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the last answer", err)
		}
	})
}

func TestD12RefusesWhatIsNoList(t *testing.T) {
	deep := strings.Repeat("[", 20_000)
	tests := []struct{ name, body, contentType, reason string }{
		{"HTML", "<html>canary</html>", "text/html", "not JSON"},
		{"HTML that says it is JSON", "<html>canary</html>", "application/json", "not JSON"},
		{"null", "null", "application/json", "not a JSON array"},
		{"object", `{"tenants":[]}`, "application/json", "not a JSON array"},
		{"string", `"canary"`, "application/json", "not a JSON array"},
		{"empty", "", "application/json", "empty"},
		{"white space", " \n", "application/json", "empty"},
		{"cut in a row", `[{"id":"canary"`, "application/json", "cut short"},
		{"cut in a string", `[{"id":"canary`, "application/json", "cut short"},
		{"cut between rows", `[{"id":"canary"},`, "application/json", "cut short"},
		{"cut before the bracket", `[{"id":"canary"}`, "application/json", "cut short"},
		{"garbage behind it", "[] canary", "application/json", "something follows"},
		{"another list behind it", "[][]", "application/json", "something follows"},
		{"bracket behind it", "[]]", "application/json", "something follows"},
		{"comma at the end", `[{"id":"a"},]`, "application/json", "not JSON"},
		{"no comma", `[{"id":"a"} {"id":"b"}]`, "application/json", "not JSON"},
		{"wrong bracket", `[{"id":"a"}}`, "application/json", "not JSON"},
		{"deep", "[" + `{"x":` + deep, "application/json", "not JSON"},
		{"number as a row", "[4711]", "application/json", "a row is not a JSON object"},
		{"string as a row", `["canary"]`, "application/json", "a row is not a JSON object"},
		{"array as a row", "[[]]", "application/json", "a row is not a JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := startManager(t, always(http.StatusOK, tt.body, "Content-Type", tt.contentType))
			both(t, newClient(t, Config{BaseURL: m.URL}), func(t *testing.T, err error) {
				got, ok := errors.AsType[*DecodeError](err)
				if !ok || got.StatusCode != http.StatusOK || got.ContentType != tt.contentType || !strings.Contains(got.Reason, tt.reason) {
					t.Fatalf("got %v, want a *DecodeError with %q", err, tt.reason)
				}
				if errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "4711") {
					t.Errorf("%q", err)
				}
			})
			if n := len(m.requests()); n != 2 {
				t.Errorf("%d requests for two calls", n)
			}
		})
	}
}

func TestD12RefusesOtherSuccess(t *testing.T) {
	for _, status := range []int{201, 202, 204, 206} {
		m := startManager(t, always(status, map[bool]string{true: "", false: oneRow}[status == 204]))
		both(t, newClient(t, Config{BaseURL: m.URL}), func(t *testing.T, err error) {
			if got, ok := errors.AsType[*DecodeError](err); !ok || got.StatusCode != status {
				t.Errorf("status %d: got %v, want a *DecodeError", status, err)
			}
		})
	}
}

// White space behind the array is not garbage, and a body that ends exactly at the limit is not too large.
func TestD12LimitIsExact(t *testing.T) {
	const limit = 10_000
	padded := func(size int) []byte { return append([]byte(oneRow), bytes.Repeat([]byte("\n"), size-len(oneRow))...) }
	for _, coding := range []string{"", "gzip"} {
		for _, size := range []int{limit, limit + 1} {
			body := padded(size)
			if coding == "gzip" {
				body = zipped(t, body)
			}
			m := startManager(t, always(http.StatusOK, string(body), "Content-Encoding", coding))
			both(t, newClient(t, Config{BaseURL: m.URL, ListLimit: limit, BodyLimit: 1}), func(t *testing.T, err error) {
				got, tooLarge := errors.AsType[*BodyTooLargeError](err)
				if tooLarge != (size > limit) || err != nil && !tooLarge {
					t.Errorf("%d bytes, coding %q: %v", size, coding, err)
				}
				if tooLarge && (got.Limit != limit || !strings.Contains(err.Error(), "10000")) {
					t.Errorf("the limit is not named: %v", err)
				}
			})
		}
	}
}

// A body that cannot be compressed is a little larger compressed; that must not count.
func TestD12LimitAllowsForCompression(t *testing.T) {
	const limit = 10_000
	body := append([]byte(oneRow), bytes.Repeat([]byte(" "), limit-len(oneRow))...)
	var wire []byte
	for _, b := range body[:450] { // a member for each byte: far more overhead than any compressor has
		wire = append(wire, zipped(t, []byte{b})...)
	}
	wire = append(wire, zipped(t, body[450:])...)
	if len(wire) <= limit {
		t.Fatalf("only %d bytes on the wire", len(wire))
	}
	m := startManager(t, always(http.StatusOK, string(wire), "Content-Encoding", "gzip"))
	if _, err := newClient(t, Config{BaseURL: m.URL, ListLimit: limit, BodyLimit: 1}).GetActiveTenantsByService(t.Context(), "ledger"); err != nil {
		t.Error(err)
	}
}

// endless gives start and then pattern for ever, and counts what was read of it.
type endless struct {
	start, pattern []byte
	offset         int
	read           int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.start)
	e.start = e.start[n:]
	for n < len(p) {
		step := copy(p[n:], e.pattern[e.offset:])
		e.offset = (e.offset + step) % len(e.pattern)
		n += step
	}
	e.read += int64(n)
	return n, nil
}

func (e *endless) Close() error { return nil }

func TestD12ReadsNoMoreThanTheLimit(t *testing.T) {
	const limit = 1 << 20
	bomb := zipped(t, append([]byte(oneRow), bytes.Repeat([]byte(" "), 8<<20)...))
	nothing := zipped(t, nil)
	tests := []struct {
		name, coding string
		body         *endless
		most         int64
	}{
		{"2 GiB of rows", "", &endless{start: []byte(`[{"id":"a"}`), pattern: []byte(`,{"id":"a"}`)}, limit + 1},
		{"2 GiB in one row", "", &endless{start: []byte(`[{"id":"`), pattern: []byte("x")}, limit + 1},
		{"2 GiB of white space", "", &endless{start: []byte("[]"), pattern: []byte(" ")}, limit + 1},
		{"gzip bomb", "gzip", &endless{start: bomb, pattern: []byte("x")}, 8192},
		{"gzip members without content", "gzip", &endless{start: zipped(t, []byte("[")), pattern: nothing}, limit + limit/1024 + 4097},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, Config{BaseURL: "https://tm", ListLimit: limit, BodyLimit: 1, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				resp := reply(http.StatusOK, "", "Content-Encoding", tt.coding)
				resp.Body = tt.body
				return resp, nil
			})})
			_, _, err := fetch(t.Context(), c, tenant.Snapshot{})
			if got, ok := errors.AsType[*BodyTooLargeError](err); !ok || got.Limit != limit {
				t.Errorf("got %v, want a *BodyTooLargeError", err)
			}
			if tt.body.read > tt.most {
				t.Errorf("%d bytes were read, want at most %d", tt.body.read, tt.most)
			}
		})
	}
}

// Far below the limit already, white space that goes on between rows is given up.
func TestD12RefusesEndlessWhiteSpace(t *testing.T) {
	body := &endless{start: []byte(`[{"id":"a"},`), pattern: []byte("\n")}
	c := newClient(t, Config{BaseURL: "https://tm", Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		resp := reply(http.StatusOK, "")
		resp.Body = body
		return resp, nil
	})})
	_, err := c.GetActiveTenantsByService(t.Context(), "ledger")
	if got, ok := errors.AsType[*DecodeError](err); !ok || !strings.Contains(got.Reason, "white space") {
		t.Errorf("got %v, want a *DecodeError", err)
	}
	if body.read > 4*maxGap {
		t.Errorf("%d bytes were read", body.read)
	}
}

func TestD12RefusesBadCompression(t *testing.T) {
	good := zipped(t, []byte(oneRow))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-5] ^= 1
	tests := []struct {
		name, coding string
		body         []byte
	}{
		{"no gzip at all", "gzip", []byte(oneRow)},
		{"empty", "gzip", nil},
		{"cut", "gzip", good[:len(good)-3]},
		{"checksum", "gzip", flipped},
		{"garbage behind it", "gzip", append(bytes.Clone(good), "canary"...)},
		{"another coding", "br", []byte(oneRow)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := startManager(t, always(http.StatusOK, string(tt.body), "Content-Encoding", tt.coding))
			both(t, newClient(t, Config{BaseURL: m.URL}), func(t *testing.T, err error) {
				if got, ok := errors.AsType[*DecodeError](err); !ok || !strings.Contains(got.Reason, "decompress") {
					t.Errorf("got %v, want a *DecodeError", err)
				}
			})
		})
	}
}

func TestD12RedirectTakesTheKeyNowhere(t *testing.T) {
	other := startManager(t, always(http.StatusOK, oneRow))
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{other.URL + "/v1/tenants/active?service=ledger", "/elsewhere", "::canary", ""} {
			m := startManager(t, always(status, oneRow, "Location", location))
			c := newClient(t, Config{BaseURL: m.URL, APIKey: StaticKey("k"), BearerToken: StaticKey("t")})
			both(t, c, func(t *testing.T, err error) {
				if answer, ok := errors.AsType[*Error](err); !ok || answer.StatusCode != status || strings.Contains(err.Error(), "canary") {
					t.Errorf("%d to %q: got %v, want an *Error", status, location, err)
				}
			})
			if err := c.SuspendTenant(t.Context(), "acme"); err == nil {
				t.Errorf("%d to %q: a redirected write is not a success", status, location)
			}
			if n := len(m.requests()); n != 3 {
				t.Errorf("%d requests for three calls", n)
			}
		}
	}
	if seen := other.requests(); len(seen) != 0 {
		t.Errorf("the other host was asked: %v", seen)
	}
}

func TestD13BadRowsArePassedOn(t *testing.T) {
	const body = `[null,{"id":"a"},{},{"id":"-bad-"},{"id":"A"},{"id":"b","status":"suspended"},{"id":7},{"id":"c","status":1},` +
		`{"id":"d","name":null,"new":[{}]}]`
	want := []tenant.Summary{{}, {ID: "a"}, {}, {ID: "-bad-"}, {ID: "A"}, {ID: "b", Status: "suspended"}, {}, {}, {ID: "d"}}
	m := startManager(t, always(http.StatusOK, body))
	c := newClient(t, Config{BaseURL: m.URL})
	rows, err := c.GetActiveTenantsByService(t.Context(), "ledger")
	if err != nil || len(rows) != len(want) {
		t.Fatalf("got %d rows, %v; want %d", len(rows), err, len(want))
	}
	for i, row := range rows {
		if (row == nil) != (i == 0) || row != nil && *row != want[i] {
			t.Errorf("row %d is %+v, want %+v", i, row, want[i])
		}
	}
	streamed, _, err := fetch(t.Context(), c, tenant.Snapshot{})
	if err != nil || len(streamed) != len(want) {
		t.Fatalf("got %d rows, %v; want %d", len(streamed), err, len(want))
	}
	for i, row := range streamed {
		if row != want[i] {
			t.Errorf("streamed row %d is %+v, want %+v", i, row, want[i])
		}
	}
}

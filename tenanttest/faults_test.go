package tenanttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// seeded has the tenants a, b, c and d in its list at revision 8.
func seeded(tb testing.TB) *tenanttest.Manager {
	tb.Helper()
	m := tenanttest.NewManager()
	must(tb, m.Add(tb.Context(), service, "a", "b", "c", "d"))
	return m
}

// fetched is the list in one word, or what kind of error came instead.
func fetched(ctx context.Context, m *tenanttest.Manager) string {
	rows, err := m.Fetcher().GetActiveTenantsByService(ctx, service)
	if err != nil {
		return describe(err)
	}
	var ids strings.Builder
	for _, row := range rows {
		if row == nil {
			ids.WriteString("<nil>")
			continue
		}
		ids.WriteString(row.ID)
	}
	return ids.String()
}

func describe(err error) string {
	decode, isDecode := errors.AsType[*managerapi.DecodeError](err)
	refusal, isRefusal := errors.AsType[*managerapi.Error](err)
	switch {
	case isRefusal:
		return strings.TrimSuffix(http.StatusText(refusal.StatusCode)+" "+refusal.RetryAfter.String(), " 0s")
	case isDecode && errors.Is(err, managerapi.ErrUnavailable) && decode.Reason != "":
		return "cut"
	case isDecode:
		return "decode"
	case errors.Is(err, managerapi.ErrUnavailable) && errors.Is(err, io.EOF):
		return "dropped"
	default:
		return err.Error()
	}
}

// The faults, each for one request; fetched and over are what comes out without and with HTTP.
var listFaults = []struct {
	name          string
	set           func(m *tenanttest.Manager, n int)
	fetched, over string
}{
	{"fail", func(m *tenanttest.Manager, n int) { m.FailList(n, 503, "7") }, "Service Unavailable 7s", "503 7"},
	{"fail for ten years", func(m *tenanttest.Manager, n int) { m.FailList(n, 429, "315360000") }, "Too Many Requests 5m0s", "429 315360000"},
	{"fail any", func(m *tenanttest.Manager, n int) { m.Fail(n, 500, "") }, "Internal Server Error", "500"},
	{"page", func(m *tenanttest.Manager, n int) {
		m.AnswerList(n, tenanttest.Answer{Header: http.Header{"content-type": {"text/html"}}, Body: []byte("<html>")})
	}, "decode", "200 text/html <html>"},
	{"null", func(m *tenanttest.Manager, n int) { m.AnswerList(n, tenanttest.Answer{Body: []byte("null")}) }, "decode", "200 null"},
	{"rows", func(m *tenanttest.Manager, n int) {
		m.AnswerList(n, tenanttest.Answer{Body: []byte(`[null,{"id":"x"}]`)})
	}, "<nil>x", `200 [null,{"id":"x"}]`},
	{"redirect", func(m *tenanttest.Manager, n int) { m.AnswerList(n, tenanttest.Answer{Status: 300}) }, "Multiple Choices", "300"},
	{"cut", func(m *tenanttest.Manager, n int) { m.CutList(n) }, "cut", "unexpected EOF"},
	{"drop", func(m *tenanttest.Manager, n int) { m.DropList(n) }, "dropped", "EOF"},
	{"empty", func(m *tenanttest.Manager, n int) { m.EmptyList(n) }, "", "200 "},
	{"partial", func(m *tenanttest.Manager, n int) { m.PartialList(n, 0.6) }, "ab", "200 ab"},
	{"stale", func(m *tenanttest.Manager, n int) { m.StaleList(n, 6) }, "abc", "200 abc"},
	{"before the log", func(m *tenanttest.Manager, n int) { m.StaleList(n, 0) }, "", "200 "},
	{"not stale", func(m *tenanttest.Manager, n int) { m.StaleList(n, 99) }, "abcd", "200 abcd"},
	{"delayed", func(m *tenanttest.Manager, n int) { m.DelayList(n, time.Millisecond) }, "abcd", "200 abcd"},
	{"first drop, then fail", func(m *tenanttest.Manager, n int) { m.FailList(n, 500, ""); m.DropList(n) }, "dropped", "EOF"},
}

func TestFaultsWithoutNetwork(t *testing.T) {
	for _, fault := range listFaults {
		t.Run(fault.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := seeded(t)
				fault.set(m, 2)
				for _, want := range []string{fault.fetched, fault.fetched, "abcd"} {
					if got := fetched(t.Context(), m); got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				fault.set(m, -1)
				m.ClearFaults()
				if got := fetched(t.Context(), m); got != "abcd" || m.Requests() != 4 {
					t.Errorf("after ClearFaults %q, %d requests counted, want all and 4", got, m.Requests())
				}
			})
		})
	}
}

func TestFaultsOverHTTP(t *testing.T) {
	for _, fault := range listFaults {
		t.Run(fault.name, func(t *testing.T) {
			s := serve(t)
			must(t, s.Add(t.Context(), service, "a", "b", "c", "d"))
			fault.set(s.Manager, 1)
			for _, want := range []string{fault.over, "200 abcd"} {
				if got := s.list(t); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			if s.Requests() != 2 || s.LastRequest().Get("X-API-Key") != s.APIKey() {
				t.Errorf("%d requests counted, the last %v", s.Requests(), s.LastRequest())
			}
		})
	}
}

// list is the answer in one line: status, Retry-After, an unusual type, and the ids or else the body.
func (s *served) list(tb testing.TB) string {
	tb.Helper()
	req := s.request(tb, "GET", "/v1/tenants/active?service="+service, "", func(h http.Header) {
		h.Set("Accept-Encoding", "identity")
	})
	resp, err := s.client.Do(req)
	if err != nil {
		return lastWords(err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return lastWords(err)
	case resp.StatusCode != http.StatusOK:
		return strings.TrimSpace(resp.Status[:3] + " " + resp.Header.Get("Retry-After"))
	case resp.Header.Get("Content-Type") != "application/json":
		return "200 " + resp.Header.Get("Content-Type") + " " + string(body)
	}
	var rows []*tenant.Summary
	if err := json.Unmarshal(body, &rows); err != nil || rows == nil || slices.Contains(rows, nil) {
		return "200 " + string(body)
	}
	ids := make([]string, 0, len(rows))
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	return "200 " + strings.Join(ids, "")
}

func lastWords(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "unexpected EOF"
	}
	text := err.Error()
	return text[strings.LastIndex(text, " ")+1:]
}

func TestFailGoesBeforeEverything(t *testing.T) {
	s := serve(t)
	s.Fail(1, 503, "1")
	resp, body := s.call(t, "DELETE", "/v1/tenants/a", "", func(h http.Header) { h.Del("X-API-Key") })
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, `"code":`) {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
}

func TestHoldListKeepsWhatWasRead(t *testing.T) {
	for _, c := range []struct {
		name string
		hold func(*tenanttest.Manager) (<-chan struct{}, func())
		want string
	}{
		{"after the read", (*tenanttest.Manager).HoldList, "abcd"},
		{"before the read", (*tenanttest.Manager).HoldListBeforeRead, "bcde"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := seeded(t)
				reached, release := c.hold(m)
				got := make(chan string, 1)
				go func() { got <- fetched(t.Context(), m) }()
				<-reached
				must(t, m.Suspend(t.Context(), "a"))
				must(t, m.Add(t.Context(), service, "e"))
				if next := fetched(t.Context(), m); next != "bcde" {
					t.Errorf("the request behind the held one got %q, want all", next)
				}
				synctest.Wait()
				if len(got) != 0 {
					t.Error("answered before release")
				}
				release()
				release()
				if got := <-got; got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestHoldListOverHTTP(t *testing.T) {
	s := serve(t)
	must(t, s.Add(t.Context(), service, "a"))
	reached, release := s.HoldList()
	defer release()
	got := make(chan string, 1)
	go func() { got <- s.list(t) }()
	<-reached
	must(t, s.Suspend(t.Context(), "a"))
	release()
	if got := <-got; got != "200 a" {
		t.Errorf("got %q, want the list as it was when it was read", got)
	}
}

func TestWaitsEndWithTheContext(t *testing.T) {
	for _, set := range []func(*tenanttest.Manager){
		func(m *tenanttest.Manager) { m.DelayList(1, time.Hour) },
		func(m *tenanttest.Manager) { m.HoldList() },
		func(m *tenanttest.Manager) { m.HoldListBeforeRead() },
	} {
		synctest.Test(t, func(t *testing.T) {
			m := seeded(t)
			set(m)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := m.Fetcher().GetActiveTenantsByService(ctx, service); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want DeadlineExceeded", err)
			}
		})
	}
}

func TestDelayListReadsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := seeded(t)
		m.DelayList(1, time.Minute)
		began := time.Now()
		got := make(chan string, 1)
		go func() { got <- fetched(t.Context(), m) }()
		synctest.Wait()
		must(t, m.Delete(t.Context(), "a"))
		if list := <-got; list != "abcd" || time.Since(began) != time.Minute {
			t.Errorf("got %q after %s, want the old list after a minute", list, time.Since(began))
		}
	})
}

func TestFetchSnapshot(t *testing.T) {
	m := seeded(t)
	fetch := func(have tenant.Snapshot) (tenant.Snapshot, string, error) {
		var ids strings.Builder
		got, err := m.Fetcher().FetchSnapshot(t.Context(), tenant.SnapshotRequest{Service: service, Have: have, Each: func(row tenant.Row) { ids.Write(append(row.ID, '.')) }})
		return got, ids.String(), err
	}
	first, ids, err := fetch(tenant.Snapshot{})
	if err != nil || first.NotModified || ids != "a.b.c.d." || first.Version.Revision != 8 || first.Version.Epoch == "" || first.ETag == "" {
		t.Errorf("%+v %v %s", first, err, ids)
	}
	must(t, m.Add(t.Context(), "other", "e"))
	if v, ids, err := fetch(first); err != nil || !v.NotModified || ids != "" || v.Version.Revision != 10 || v.ETag != first.ETag {
		t.Errorf("unchanged: %+v %v %s", v, err, ids)
	}
	m.CutList(1)
	if v, ids, err := fetch(tenant.Snapshot{}); describe(err) != "cut" || ids != "a.b." || v != (tenant.Snapshot{}) {
		t.Errorf("cut: %+v %v %s", v, err, ids)
	}
	m.AnswerList(1, tenanttest.Answer{Body: []byte(`[null]`)})
	if v, ids, err := fetch(first); err != nil || ids != "." || v != (tenant.Snapshot{}) {
		t.Errorf("null row: %+v %v %s", v, err, ids)
	}
	plain := tenanttest.NewManager(tenanttest.WithoutVersions())
	v, err := plain.Fetcher().FetchSnapshot(t.Context(), tenant.SnapshotRequest{Service: service, Each: func(tenant.Row) {}})
	if err != nil || v != (tenant.Snapshot{}) {
		t.Errorf("without versions: %+v %v", v, err)
	}
}

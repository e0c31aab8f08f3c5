package tenanttest_test

import (
	"context"
	"errors"
	"fmt"
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

// changesFetcher is what a client and a Fetcher have in common here.
type changesFetcher interface {
	FetchChanges(ctx context.Context, req tenant.ChangesRequest) (tenant.Changes, error)
}

// ways are both ways to a manager.
func ways(t *testing.T, s *served) map[string]changesFetcher {
	t.Helper()
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: s.url, APIKey: managerapi.StaticKey(s.APIKey()), Retries: -1})
	must(t, err)
	t.Cleanup(client.Close)
	return map[string]changesFetcher{"over HTTP": client, "without": s.Fetcher()}
}

// changed is what has changed, in one line: the types of the events and their tenants, and what they lead to.
func changed(t *testing.T, from changesFetcher, since tenant.Version) (string, error) {
	t.Helper()
	var out []string
	to, err := from.FetchChanges(t.Context(), tenant.ChangesRequest{Service: service, Since: since, Each: func(event []byte) {
		evt, err := tenant.ParseEvent(event)
		must(t, err)
		out = append(out, strings.TrimPrefix(string(evt.EventType), "tenant.")+" "+evt.TenantID)
	}})
	return fmt.Sprintf("%s: revision %d, count %d, digest %016x", strings.Join(out, ", "), to.Version.Revision, to.Count, to.Digest), err
}

func wantChanged(t *testing.T, s *served, since tenant.Version, events string, revision uint64, ids ...string) {
	t.Helper()
	var digest uint64
	for _, id := range ids {
		digest ^= tenant.IDDigest(id)
	}
	want := fmt.Sprintf("%s: revision %d, count %d, digest %016x", events, revision, len(ids), digest)
	for name, way := range ways(t, s) {
		if got, err := changed(t, way, since); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
}

func wantRefused(t *testing.T, s *served, since tenant.Version, want error) {
	t.Helper()
	for name, way := range ways(t, s) {
		if got, err := changed(t, way, since); !errors.Is(err, want) {
			t.Errorf("%s: %s, %v, want %v", name, got, err, want)
		}
	}
}

func TestChangesOfAList(t *testing.T) {
	s, ctx := serve(t), t.Context()
	begin := s.Version()
	wantChanged(t, s, begin, "", 0)
	must(t, s.Add(ctx, service, "a", "b"))
	must(t, s.Add(ctx, "other", "c"))
	_, err := s.Associate(ctx, "b", "other", managerapi.CreateAssociationRequest{})
	must(t, err)
	middle := s.Version()
	must(t, s.Suspend(ctx, "b"))
	must(t, s.RotateCredentials(ctx, "a", service))
	wantChanged(t, s, begin, "service.associated a, service.associated b, suspended b, credentials.rotated a", 9, "a")
	wantChanged(t, s, middle, "suspended b, credentials.rotated a", 9, "a")
	must(t, s.Disassociate(ctx, "a", service, true))
	must(t, s.Delete(ctx, "b"))
	wantChanged(t, s, tenant.Version{Epoch: begin.Epoch, Revision: 9}, "service.purged a, deleted b", 11)
	wantRefused(t, s, tenant.Version{Epoch: "another", Revision: 1}, tenant.ErrChangesGone)
	wantRefused(t, s, tenant.Version{Epoch: begin.Epoch, Revision: 12}, tenant.ErrChangesGone)
	backup := s.Backup()
	s.Restore(backup)
	wantRefused(t, s, tenant.Version{Epoch: begin.Epoch, Revision: 11}, tenant.ErrChangesGone)
	wantChanged(t, s, s.Version(), "", 0)
}

func TestChangesReachBackAsFarAsTheLog(t *testing.T) {
	s := serve(t, tenanttest.WithLogLimit(3))
	begin := s.Version()
	must(t, s.Add(t.Context(), service, "a", "b"))
	wantRefused(t, s, begin, tenant.ErrChangesGone)
	begin.Revision = 1
	wantChanged(t, s, begin, "service.associated a, service.associated b", 4, "a", "b")
	must(t, s.RotateCredentials(t.Context(), "a", service))
	wantRefused(t, s, begin, tenant.ErrChangesGone)
}

func TestMoreChangesThanAnAnswerHas(t *testing.T) {
	s := serve(t, tenanttest.WithLogLimit(1_000_000))
	begin := s.Version()
	must(t, s.Add(t.Context(), service, "a"))
	for range tenant.MaxChanges {
		must(t, s.RotateCredentials(t.Context(), "a", service))
	}
	wantRefused(t, s, begin, tenant.ErrChangesGone)
	begin.Revision = 2
	if got, err := changed(t, s.Fetcher(), begin); err != nil || strings.Count(got, "rotated") != tenant.MaxChanges {
		t.Errorf("as many as there may be: %d of them, %v", strings.Count(got, "rotated"), err)
	}
}

func TestAManagerWithoutChanges(t *testing.T) {
	for name, option := range map[string]tenanttest.Option{"without changes": tenanttest.WithoutChanges(), "without versions": tenanttest.WithoutVersions()} {
		s := serve(t, option)
		wantRefused(t, s, s.Version(), tenant.ErrNoChanges)
		if n := s.Requests(); n != 0 {
			t.Errorf("%s: %d requests are counted", name, n)
		}
		if got, _ := s.call(t, "GET", "/v1/tenants/active/changes?service=ledger&since=e:1", ""); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", name, got.StatusCode)
		}
	}
}

// TestFaultsOfChanges: those of the answer are the list's, and what spoils a list is left for it.
func TestFaultsOfChanges(t *testing.T) {
	s := serve(t, tenanttest.WithEnvironment("staging"))
	begin := s.Version()
	must(t, s.Add(t.Context(), service, "a", "b"))
	for name, way := range ways(t, s) {
		want := func(fault string, is func(error) bool) {
			t.Helper()
			if _, err := changed(t, way, begin); !is(err) {
				t.Errorf("%s, %s: %v", name, fault, err)
			}
			s.ClearFaults()
			if got, err := changed(t, way, begin); err != nil {
				t.Errorf("%s, after %s: %s, %v", name, fault, got, err)
			}
		}
		like := func(words string) func(error) bool {
			return func(err error) bool { return err != nil && describe(err) == words }
		}
		s.FailList(1, 503, "7")
		want("FailList", like("Service Unavailable 7s"))
		s.Fail(1, 429, "")
		want("Fail", like("Too Many Requests"))
		s.FailList(1, 405, "")
		want("FailList 405", func(err error) bool { return errors.Is(err, tenant.ErrNoChanges) })
		s.CutList(1)
		want("CutList", like("cut"))
		s.DropList(-1) // as net/http asks again by itself
		want("DropList", like("dropped"))
		s.StaleList(1, 2)
		if got, err := changed(t, way, begin); err != nil || !strings.HasPrefix(got, "service.associated a: revision 2, count 1") {
			t.Errorf("%s, StaleList: %s, %v", name, got, err)
		}
		s.ListEnvironment(1, "another")
		got, err := way.FetchChanges(t.Context(), tenant.ChangesRequest{Service: service, Since: begin, Each: func([]byte) {}})
		if err != nil || got.Environment != "another" {
			t.Errorf("%s, ListEnvironment: %+v, %v", name, got, err)
		}
	}
	for name, spoil := range map[string]func(){
		"AnswerList":  func() { s.AnswerList(1, tenanttest.Answer{Body: []byte("[]")}) },
		"EmptyList":   func() { s.EmptyList(1) },
		"PartialList": func() { s.PartialList(1, 0) },
	} {
		spoil()
		wantRefused(t, s, begin, tenant.ErrChangesGone)
		if got := fetched(t.Context(), s.Manager); got != "" {
			t.Errorf("%s is not left for the list: %q", name, got)
		}
	}
	s.StaleList(1, 2)
	wantRefused(t, s, tenant.Version{Epoch: begin.Epoch, Revision: 3}, tenant.ErrChangesGone)
	if got := fetched(t.Context(), s.Manager); got != "a" {
		t.Errorf("StaleList is not left for the list: %q", got)
	}
}

func TestHeldAndDelayedChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := seeded(t)
		begin := tenant.Version{Epoch: m.Version().Epoch}
		m.DelayList(1, time.Minute)
		reached, release := m.HoldListBeforeRead()
		asked, heard := time.Now(), make(chan string, 1)
		go func() {
			got, err := changed(t, m.Fetcher(), begin)
			heard <- fmt.Sprint(got, err)
		}()
		<-reached
		must(t, m.Delete(t.Context(), "a"))
		release()
		if got := <-heard; !strings.Contains(got, "deleted a: revision 9, count 3") || time.Since(asked) != time.Minute {
			t.Errorf("after %v: %s", time.Since(asked), got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, release = m.HoldList()
		defer release()
		cancel()
		if _, err := m.Fetcher().FetchChanges(ctx, tenant.ChangesRequest{Service: service, Since: begin}); !errors.Is(err, context.Canceled) {
			t.Errorf("held, and its ctx ended: %v", err)
		}
	})
}

func TestRequestsForChangesThatAreRefused(t *testing.T) {
	s := serve(t)
	for query, want := range map[string]string{
		"?since=e:1":                        "400 SERVICE_REQUIRED",
		"?service=%0A&since=e:1":            "400 SERVICE_REQUIRED",
		"?service=a%0Ab&since=e:1":          "400 INVALID_SERVICE",
		"?service=ledger":                   "400 SINCE_REQUIRED",
		"?service=ledger&since=e":           "400 INVALID_SINCE",
		"?service=ledger&since=:1":          "400 INVALID_SINCE",
		"?service=ledger&since=e:-1":        "400 INVALID_SINCE",
		"?service=ledger&since=e:another:1": "410 EVENTS_GONE",
	} {
		got, body := s.call(t, "GET", "/v1/tenants/active/changes"+query, "")
		status, code, _ := strings.Cut(want, " ")
		if fmt.Sprint(got.StatusCode) != status || !strings.Contains(body, `"code":"`+code+`"`) {
			t.Errorf("%s: %d %s, want %s", query, got.StatusCode, body, want)
		}
	}
	before := s.Requests()
	got, _ := s.call(t, "GET", "/v1/tenants/active/changes?service=ledger&since=e:1", "", func(h http.Header) { clear(h) })
	if got.StatusCode != http.StatusUnauthorized || s.Requests() != before+1 || slices.Contains(s.LastRequest().Values("X-API-Key"), s.APIKey()) {
		t.Errorf("without a key: %d, %d requests", got.StatusCode, s.Requests()-before)
	}
}

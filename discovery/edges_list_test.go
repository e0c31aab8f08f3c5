package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// listOf is a body of rows, good ones first.
func listOf(good, bad int, badRow string) []byte {
	var all []string
	for i := range good {
		all = append(all, fmt.Sprintf(`{"id":"t%d","name":%d,"status":"active"}`, i, i))
	}
	for range bad {
		all = append(all, badRow)
	}
	return []byte("[" + strings.Join(all, ",") + "]")
}

// TestX02AListThatNobodyCanRead is a failed list, as HTML is: Start fails with a typed error, later the set is kept.
func TestX02AListThatNobodyCanRead(t *testing.T) {
	const number, urn, renamed, status = `{"id":7,"name":"A","status":"active"}`, `{"id":"urn:tenant:7"}`, `{"tenantId":"a"}`, `{"id":"a","status":1}`
	for _, tc := range []struct {
		name      string
		good, bad int
		row       string
		refused   bool
	}{
		{"twenty numbers", 0, 20, number, true},
		{"twenty under another name", 0, 20, renamed, true},
		{"twenty URNs", 0, 20, urn, true},
		{"twenty whose status is a number", 0, 20, status, true},
		{"one, and it is of no use", 0, 1, number, true},
		{"two nulls", 0, 2, "null", true},
		{"more than half of twenty", 9, 11, number, true},
		{"half of twenty", 10, 10, number, false},
		{"more than half of nineteen", 9, 10, number, false},
		{"one of nineteen is good", 1, 18, urn, false},
		{"twenty that are suspended", 0, 20, `{"id":"a","status":"suspended"}`, false},
		{"one tenant, twenty times", 1, 19, `{"id":"t0"}`, false},
		{"no rows", 0, 0, "", false},
	} {
		for _, way := range []string{"HTTP", "rows in memory"} {
			t.Run(tc.name+", "+way, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					f := newFixture(t, "before")
					if way == "HTTP" {
						f.overHTTP(t, f.manager, managerapi.Config{APIKey: managerapi.StaticKey(f.manager.APIKey())})
					}
					f.manager.AnswerList(1, tenanttest.Answer{Body: listOf(tc.good, tc.bad, tc.row)})
					unusable := discovery.UnusableListError{Rows: tc.good + tc.bad, Unusable: tc.bad}
					d := f.new(t)
					wantUnusable(t, "Start", d.Start(t.Context()), tc.refused, unusable)
					if !tc.refused {
						return
					}
					if err := d.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
					f.manager.AnswerList(1, tenanttest.Answer{Body: listOf(tc.good, tc.bad, tc.row)})
					wantUnusable(t, "Refresh", d.Refresh(t.Context()), true, unusable)
					wantSet(t, d, "before")
					wantUnusable(t, "Status", d.Status().SnapshotError, true, unusable)
					pass(discovery.DefaultPollInterval)
					wantState(t, d, discovery.Live)
				})
			})
		}
	}
}

func wantUnusable(t *testing.T, who string, err error, refused bool, want discovery.UnusableListError) {
	t.Helper()
	var unusable *discovery.UnusableListError
	switch {
	case !refused && err != nil:
		t.Errorf("%s says %v", who, err)
	case refused && (!errors.As(err, &unusable) || *unusable != want):
		t.Errorf("%s says %v, want %+v", who, err, want)
	}
}

// TestD33AnUnusableListRemovesNobody, be there a feed or none, and however often it comes.
func TestD33AnUnusableListRemovesNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme", "beta")
		f.cfg.TMClient = fetcher(func(ctx context.Context, service string) ([]*tenant.Summary, error) {
			rows, err := f.manager.Fetcher().GetActiveTenantsByService(ctx, service)
			if f.manager.Requests() > 1 {
				for _, row := range rows {
					row.ID = "urn:" + row.ID
				}
			}
			return rows, err
		})
		d := f.start(t)
		told := keep(d)
		f.feed.Disconnect(nil)
		pass(time.Hour)
		wantSet(t, d, "acme", "beta")
		wantState(t, d, discovery.Stale)
		f.suspend(t, "beta")
		f.feed.Connect()
		pass(time.Hour)
		wantSet(t, d, "acme", "beta") // what the event said is missed, and no list can tell
		wantState(t, d, discovery.Stale)
		wantTold(t, told, "")
		f.log.want(t, 1, slog.LevelWarn, "discovery is stale", "cannot be used")
	})
}

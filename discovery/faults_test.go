package discovery_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// TestD04EventBetweenConfirmationAndSnapshot publishes while the snapshot is under way: after the manager has read its
// set, and before.
func TestD04EventBetweenConfirmationAndSnapshot(t *testing.T) {
	for name, hold := range map[string]func(*tenanttest.Manager) (<-chan struct{}, func()){
		"read, then event": (*tenanttest.Manager).HoldList,
		"event, then read": (*tenanttest.Manager).HoldListBeforeRead,
	} {
		t.Run("bootstrap, "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme", "beta")
				d := f.new(t)
				told := keep(d)
				reached, release := hold(f.manager)
				started := make(chan error)
				go func() { started <- d.Start(t.Context()) }()
				<-reached
				f.add(t, "new")
				f.suspend(t, "acme")
				settle()
				release()
				if err := <-started; err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				wantSet(t, d, "beta", "new")
				wantTold(t, told, "")
			})
		})
		t.Run("reconcile, "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme", "beta")
				d := f.start(t)
				told := keep(d)
				reached, release := hold(f.manager)
				refreshed := make(chan error)
				go func() { refreshed <- d.Refresh(t.Context()) }()
				<-reached
				f.add(t, "new")
				f.suspend(t, "acme")
				settle()
				wantSet(t, d, "beta", "new") // events do not wait for the answer
				release()
				if err := <-refreshed; err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				wantSet(t, d, "beta", "new")
				wantTold(t, told, "+new, -acme")
			})
		})
	}
}

// TestD09MassRemoval: one answer that lacks most of the set removes nothing, a second one does.
func TestD09MassRemoval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newListFixture(t)
		ids, err := f.manager.Seed(t.Context(), service, 100)
		if err != nil {
			t.Fatal(err)
		}
		d := f.start(t)
		f.manager.EmptyList(1)
		if err := d.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if d.Len() != 100 {
			t.Fatalf("%d tenants are left", d.Len())
		}
		wantState(t, d, discovery.Syncing)
		f.suspend(t, ids[0])
		settle()
		if d.IsActive(ids[0]) {
			t.Error("an event was held")
		}
		pass(15 * time.Second)
		if d.Len() != 99 || f.manager.Requests() != 3 {
			t.Errorf("%d tenants after %d requests", d.Len(), f.manager.Requests())
		}
		wantState(t, d, discovery.Live)
		f.manager.EmptyList(2)
		for range 2 {
			if err := d.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if d.Len() != 0 {
			t.Errorf("confirmed, and %d tenants are left", d.Len())
		}
		if held := d.Status().Counters.RemovalsHeld; held != 199 {
			t.Errorf("%d removals held", held)
		}
	})
}

// TestD10RefusedKey: no storm, the set is kept, Status says why, and a key that works again is used by itself.
func TestD10RefusedKey(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		bubble(t, func(t *testing.T) {
			f := newFixture(t, "acme")
			d := f.start(t)
			f.manager.FailList(1000, status, "")
			f.feed.Gap(nil)
			pass(10 * time.Minute)
			if n := f.manager.Requests(); n < 10 || n > 45 {
				t.Errorf("%d requests in ten minutes", n)
			}
			wantSet(t, d, "acme")
			wantState(t, d, discovery.Stale)
			var answer *managerapi.Error
			if !errors.As(d.Status().SnapshotError, &answer) || answer.StatusCode != status {
				t.Errorf("Status says %v", d.Status().SnapshotError)
			}
			f.manager.ClearFaults()
			pass(31 * time.Second)
			wantState(t, d, discovery.Live)
			if d.Status().SnapshotError != nil {
				t.Error("the error stays")
			}
			f.log.want(t, 1, slog.LevelWarn, "the snapshot failed")
		})
	}
}

// TestD11RetryAfter: the manager is left alone as long as it asks, but not for ten years.
func TestD11RetryAfter(t *testing.T) {
	for _, tc := range []struct {
		name, retryAfter string
		status           int
		min, max         time.Duration
	}{
		{"429, seconds", "7", http.StatusTooManyRequests, 7 * time.Second, 8 * time.Second},
		{"503, seconds", "7", http.StatusServiceUnavailable, 7 * time.Second, 8 * time.Second},
		{"ten years", "315360000", http.StatusServiceUnavailable, time.Minute, 5*time.Minute + time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t)
				d := f.start(t)
				f.manager.FailList(1, tc.status, tc.retryAfter)
				if err := d.Refresh(t.Context()); err == nil {
					t.Fatal("no failure")
				}
				before := f.manager.Requests()
				pass(tc.min - time.Millisecond)
				if f.manager.Requests() != before {
					t.Errorf("asked again before %v", tc.min)
				}
				pass(tc.max - tc.min + time.Millisecond)
				if f.manager.Requests() != before+1 {
					t.Errorf("not asked again by %v", tc.max)
				}
			})
		})
	}
	bubble(t, func(t *testing.T) { // a date, which counts in the bubble's time
		f := newFixture(t)
		d := f.start(t)
		f.manager.FailList(1, http.StatusTooManyRequests, time.Now().Add(20*time.Second).UTC().Format(http.TimeFormat))
		if err := d.Refresh(t.Context()); err == nil {
			t.Fatal("no failure")
		}
		pass(18 * time.Second)
		if f.manager.Requests() != 2 {
			t.Errorf("%d requests", f.manager.Requests())
		}
		pass(4 * time.Second)
		if f.manager.Requests() != 3 {
			t.Errorf("%d requests", f.manager.Requests())
		}
	})
}

// TestD12WrongBodies: each is refused whole, and the set stays. That a body is not read beyond its limit and that keys
// stay at home is shown in managerapi.
func TestD12WrongBodies(t *testing.T) {
	for name, answer := range map[string]tenanttest.Answer{
		"HTML":             {Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<html>all is well</html>")},
		"null":             {Body: []byte("null")},
		"object":           {Body: []byte(`{"tenants":[]}`)},
		"cut":              {Body: []byte(`[{"id":"new","name":"new","status":"active"},{"id":"ne`)},
		"trailing garbage": {Body: []byte(`[{"id":"new"}] [`)},
		"nothing":          {Body: []byte{}},
		"redirect":         {Status: http.StatusFound, Header: http.Header{"Location": {"http://127.0.0.1:1/"}}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t, "acme")
				d := f.start(t)
				f.manager.AnswerList(1, answer)
				if err := d.Refresh(t.Context()); err == nil {
					t.Error("taken")
				}
				wantSet(t, d, "acme")
				if d.Status().SnapshotError == nil {
					t.Error("Status does not say so")
				}
				pass(5 * time.Second)
				if d.Status().SnapshotError != nil {
					t.Error("it was not asked again")
				}
				f.manager.AnswerList(1, answer)
				if err := f.new(t).Start(t.Context()); err == nil {
					t.Error("a bootstrap takes it")
				}
			})
		})
	}
}

func TestD13WrongRows(t *testing.T) {
	long := strings.Repeat("x", 257)
	body := `[null, {}, {"id":""}, {"id":"-bad"}, {"id":"b d"}, {"id":"` + long + `"}, {"id":"asleep","status":"suspended"},
		{"id":"acme","name":"Acme","status":"active"}, {"id":"silent"},
		{"id":"6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012"}, {"id":"6F1C2A9E-4b7d-4e0f-8a3b-5c6d7e8f9012"}]`
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.manager.AnswerList(1, tenanttest.Answer{Body: []byte(body)})
		d := f.start(t)
		wantSet(t, d, "acme", "silent", "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012")
		if n := d.Status().Counters.RowsSkipped; n != 8 {
			t.Errorf("%d rows skipped, want 8", n)
		}
		f.log.want(t, 1, slog.LevelWarn, "rows", "rows=8")
	})
}

// TestD23FeedDownAtStart: Polling at once, Live by itself when it comes up.
func TestD23FeedDownAtStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		f.feed.Disconnect(errors.New("connection refused"))
		d := f.start(t)
		wantState(t, d, discovery.Polling)
		f.log.want(t, 1, slog.LevelWarn, "polling", "connection refused", "service="+service, "tenant_count=1")
		f.add(t, "missed")
		pass(19 * time.Second)
		wantSet(t, d, "acme", "missed")
		f.add(t, "missed-too")
		pass(time.Minute)
		f.add(t, "just-before")
		f.feed.Connect()
		settle()
		wantState(t, d, discovery.Syncing)
		pass(time.Second)
		wantState(t, d, discovery.Live)
		wantSet(t, d, "acme", "missed", "missed-too", "just-before")
		f.add(t, "live")
		settle()
		wantSet(t, d, "acme", "missed", "missed-too", "just-before", "live")
		f.log.want(t, 1, slog.LevelWarn, "discovery is")
	})
}

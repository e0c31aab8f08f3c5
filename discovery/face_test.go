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
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

func TestConfigNamesWhatIsMissing(t *testing.T) {
	_, err := discovery.NewTenantDiscovery(discovery.Config{})
	for _, field := range []string{"ServiceName", "TMClient", "RedisConfig.Host"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
	whole := newFixture(t).cfg
	for _, tc := range []struct {
		name  string
		spoil func(*discovery.Config)
		want  string
	}{
		{"blank service", func(c *discovery.Config) { c.ServiceName = " " }, "ServiceName has white space"},
		{"blanks around the service", func(c *discovery.Config) { c.ServiceName = " ledger" }, `ServiceName has white space or an invisible character in it: " ledger"`},
		{"line break after the service", func(c *discovery.Config) { c.ServiceName = "ledger\n" }, "ServiceName has white space"},
		{"blank in the service", func(c *discovery.Config) { c.ServiceName = "led ger" }, "ServiceName has white space"},
		{"no-break space in the service", func(c *discovery.Config) { c.ServiceName = "ledger\u00a0" }, "ServiceName has white space"},
		{"NUL in the service", func(c *discovery.Config) { c.ServiceName = "led\x00ger" }, "ServiceName has white space or an invisible character"},
		{"byte order mark before the service", func(c *discovery.Config) { c.ServiceName = "\ufeffledger" }, "ServiceName has white space or an invisible"},
		{"blank in the environment", func(c *discovery.Config) { c.Environment = "sta ging" }, "white space in it"},
		{"blank environment", func(c *discovery.Config) { c.Environment = " " }, "Environment is blank"},
		{"quotes around the environment", func(c *discovery.Config) { c.Environment = `"staging"` }, "quotes"},
		{"byte order mark before the environment", func(c *discovery.Config) { c.Environment = "\ufeffstaging" }, "invisible"},
		{"nil pointer as client", func(c *discovery.Config) { c.TMClient = (*tenanttest.Fetcher)(nil) }, "TMClient"},
		{"nil function as client", func(c *discovery.Config) { c.TMClient = fetcher(nil) }, "TMClient"},
		{"nil pointer as feed", func(c *discovery.Config) { c.Feed = (*tenanttest.Feed)(nil) }, "Feed"},
		{"no feed", func(c *discovery.Config) { c.Feed = nil }, "RedisConfig.Host"},
		{"bad certificate", func(c *discovery.Config) {
			c.Feed = nil
			c.RedisConfig = redisevents.Config{Host: "redis", TLS: true, CACertBase64: "***"}
		}, "RedisConfig"},
		{"negative interval", func(c *discovery.Config) { c.PollInterval = -1 }, "PollInterval"},
		{"negative fraction", func(c *discovery.Config) { c.RemovalGuard.Fraction = -0.1 }, "RemovalGuard.Fraction"},
		{"negative minimum", func(c *discovery.Config) { c.RemovalGuard.Min = -1 }, "RemovalGuard.Min"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := whole
			tc.spoil(&cfg)
			if _, err := discovery.NewTenantDiscovery(cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that names %s", err, tc.want)
			}
		})
	}
	cfg := whole
	cfg.Feed, cfg.RedisConfig = nil, redisevents.Config{Addrs: []string{"a:1", "b:2"}}
	if _, err := discovery.NewTenantDiscovery(cfg); err != nil {
		t.Errorf("Addrs are refused: %v", err)
	}
}

func TestPrintingShowsNoPassword(t *testing.T) {
	cfg := newFixture(t).cfg
	cfg.Feed, cfg.RedisConfig = nil, redisevents.Config{Host: "redis", Username: "worker", Password: "canary-5417"}
	d, err := discovery.NewTenantDiscovery(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if text := fmt.Sprintf(verb, d); strings.Contains(text, "canary-5417") {
			t.Errorf("%s shows it: %s", verb, text)
		}
	}
}

func TestReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		const dashed, plain = "6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012", "6F1C2A9E4B7D4E0F8A3B5C6D7E8F9012"
		f.add(t, dashed, "acme")
		d := f.new(t)
		if ids := d.ActiveTenantIDs(); ids == nil || len(ids) != 0 || d.Len() != 0 || d.IsActive("acme") {
			t.Errorf("before Start there is %v", ids)
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantSet(t, d, "acme", dashed)
		for _, id := range []string{"acme", dashed, plain} {
			if !d.IsActive(id) {
				t.Errorf("%s is not active", id)
			}
		}
		if d.IsActive("ACME") || d.IsActive("") {
			t.Error("what is not a tenant is active")
		}
		d.ActiveTenantIDs()[0] = "spoilt"
		wantSet(t, d, "acme", dashed)

		seen := 0
		for range d.All() {
			if seen++; seen == 1 {
				f.add(t, "late")
				settle()
			}
		}
		if seen != 2 || d.Len() != 3 {
			t.Errorf("the loop saw %d tenants, and %d are there", seen, d.Len())
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		wantSet(t, d, "acme", "late", dashed)
		wantState(t, d, discovery.Closed)
	})
}

func TestNilReadsAsEmpty(t *testing.T) {
	var d *discovery.TenantDiscovery
	for range d.All() {
		t.Error("All yields")
	}
	for range d.Changes(t.Context()) {
		t.Error("Changes yields")
	}
	if ids := d.ActiveTenantIDs(); ids == nil || len(ids) != 0 {
		t.Errorf("ActiveTenantIDs is %v", ids)
	}
	if d.IsActive("acme") || d.Len() != 0 || d.Status().Ready() || len(d.Explain("acme")) != 0 || d.Close() != nil {
		t.Error("a nil discovery has something in it")
	}
}

func TestStartOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.new(t)
		if err := d.HandleEvent(t.Context(), event(tenant.EventSuspended, "acme")); !errors.Is(err, discovery.ErrNotStarted) {
			t.Errorf("HandleEvent before Start: %v", err)
		}
		if err := d.Refresh(t.Context()); !errors.Is(err, discovery.ErrNotStarted) {
			t.Errorf("Refresh before Start: %v", err)
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.Start(t.Context()); !errors.Is(err, discovery.ErrStarted) {
			t.Errorf("second Start: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for what, err := range map[string]error{
			"Start":       d.Start(t.Context()),
			"HandleEvent": d.HandleEvent(t.Context(), event(tenant.EventSuspended, "acme")),
			"Refresh":     d.Refresh(t.Context()),
		} {
			if !errors.Is(err, discovery.ErrClosed) {
				t.Errorf("%s after Close: %v", what, err)
			}
		}
	})
}

// TestStartsCtxBoundsStartAlone: frameworks cancel it once everything is started.
func TestStartsCtxBoundsStartAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.new(t)
		ctx, cancel := context.WithCancel(t.Context())
		if err := d.Start(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		f.add(t, "acme")
		settle()
		wantSet(t, d, "acme")
		f.feed.Disconnect(nil)
		f.suspend(t, "acme")
		f.feed.Connect()
		pass(2 * time.Second)
		wantSet(t, d)
		wantState(t, d, discovery.Live)
	})
}

func TestFailedStartCanBeRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.new(t)
		told := keep(d)
		f.manager.FailList(1, 500, "")
		if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), service) {
			t.Fatalf("Start says %v", err)
		}
		if f.feed.Subscribers() != 0 {
			t.Error("the feed runs on")
		}
		if err := d.Refresh(t.Context()); !errors.Is(err, discovery.ErrNotStarted) {
			t.Errorf("Refresh: %v", err)
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.add(t, "late")
		settle()
		wantSet(t, d, "acme", "late")
		wantTold(t, told, "+late")
		if f.manager.Requests() != 2 {
			t.Errorf("%d requests", f.manager.Requests())
		}
	})
}

// TestStartIsBounded: with a feed that says nothing, a manager that hangs, and a client that does not even heed its ctx.
func TestStartIsBounded(t *testing.T) {
	carriesNothing := func(ctx context.Context, _ func(tenant.Signal)) error {
		<-ctx.Done()
		return ctx.Err()
	}
	refused := func(ctx context.Context, sink func(tenant.Signal)) error {
		sink(tenant.Signal{Kind: tenant.SignalLost, Err: errors.New("refused")})
		return carriesNothing(ctx, sink)
	}
	for _, tc := range []struct {
		name   string
		client func(release <-chan struct{}) fetcher
		feed   feedFunc
		limit  time.Duration // of Start's ctx, none if zero
		want   time.Duration
		err    error
	}{
		{name: "a feed that carries nothing", feed: carriesNothing, want: 5 * time.Second},
		{name: "a feed that carries nothing, half of the ctx", feed: carriesNothing, limit: 4 * time.Second, want: 2 * time.Second},
		{name: "refused feed", feed: refused, want: 0},
		{name: "hanging manager", client: heeding, want: 30 * time.Second, err: context.DeadlineExceeded},
		{name: "hanging manager, ctx", client: heeding, limit: time.Second, want: time.Second, err: context.DeadlineExceeded},
		{name: "a client that never returns", client: neverReturns, limit: time.Second, want: 1250 * time.Millisecond, err: context.DeadlineExceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFixture(t)
				release := make(chan struct{})
				defer close(release)
				if tc.client != nil {
					f.cfg.TMClient = tc.client(release)
				}
				if tc.feed != nil {
					f.cfg.Feed = tc.feed
				}
				ctx := t.Context()
				if tc.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.limit)
					defer cancel()
				}
				began := time.Now()
				err := f.new(t).Start(ctx)
				if took := time.Since(began); took != tc.want {
					t.Errorf("Start took %v, want %v", took, tc.want)
				}
				if !errors.Is(err, tc.err) {
					t.Errorf("Start: %v, want %v", err, tc.err)
				}
			})
		})
	}
}

type feedFunc func(ctx context.Context, sink func(tenant.Signal)) error

func (f feedFunc) Run(ctx context.Context, sink func(tenant.Signal)) error { return f(ctx, sink) }

func heeding(<-chan struct{}) fetcher {
	return func(ctx context.Context, _ string) ([]*tenant.Summary, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

func neverReturns(release <-chan struct{}) fetcher {
	return func(context.Context, string) ([]*tenant.Summary, error) {
		<-release
		return nil, errors.New("released")
	}
}

func TestEmptyServiceIsWarnedOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		f.start(t)
		f.log.want(t, 1, slog.LevelWarn, "no active tenant", "service="+service)
	})
}

// TestRefreshJoinsNoOlderRequest: what was true before the call has to be in the set after it.
func TestRefreshJoinsNoOlderRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		f.feed.Silence(true)
		reached, release := f.manager.HoldList()
		older := make(chan error, 1)
		go func() { older <- d.Refresh(t.Context()) }()
		<-reached
		f.add(t, "acme")
		younger := make(chan error, 1)
		go func() { younger <- d.Refresh(t.Context()) }()
		settle()
		second, releaseSecond := f.manager.HoldList()
		release()
		if err := <-older; err != nil {
			t.Error(err)
		}
		<-second
		settle()
		if len(younger) != 0 {
			t.Error("the younger one got the answer to the older one's request")
		}
		releaseSecond()
		if err := <-younger; err != nil {
			t.Error(err)
		}
		wantSet(t, d, "acme")
	})
}

func TestRefreshSkipsBackoff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t)
		d := f.start(t)
		f.manager.FailList(3, 503, "3600")
		for range 3 {
			if err := d.Refresh(t.Context()); err == nil {
				t.Error("a failed Refresh returns nil")
			}
		}
		began := time.Now()
		if err := d.Refresh(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, release := f.manager.HoldList()
		defer release()
		if err := d.Refresh(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ctx ended: %v", err)
		}
	})
}

func TestRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFixture(t, "acme")
		d := f.new(t)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.Run(ctx) }()
		settle()
		wantState(t, d, discovery.Live)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wantState(t, d, discovery.Closed)
		if err := d.Run(t.Context()); !errors.Is(err, discovery.ErrClosed) {
			t.Errorf("Run after Close: %v", err)
		}
	})
}

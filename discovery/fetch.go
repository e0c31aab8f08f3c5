package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// heedGrace is how long a TMClient gets to return after its ctx ended; then it is left behind on its goroutine.
	heedGrace = 250 * time.Millisecond
	// mostLeftBehind bounds the goroutines that wait for a TMClient that does not heed its ctx.
	mostLeftBehind = 4
)

var (
	errLeftBehind = fmt.Errorf("%d earlier requests have not returned although their ctx ended; the TMClient has to heed ctx", mostLeftBehind)
	errNotAsked   = errors.New("the TMClient says that nothing is new, but was not asked that")
	errPanic      = errors.New("it panicked")
	errGoroutine  = errors.New("it ended its goroutine (runtime.Goexit, as t.FailNow does)")
	errClientGone = fmt.Errorf("the TMClient did not return: %w", errGoroutine)
)

// fetch asks the TMClient, on a goroutine of its own because one that does not heed its ctx must not hold up the rest.
func (d *TenantDiscovery) fetch(ctx context.Context, req activeset.Request) activeset.Answer {
	if d.leftover.Load() >= mostLeftBehind {
		return activeset.Answer{Err: errLeftBehind}
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.BootstrapTimeout)
	defer cancel()
	done := make(chan activeset.Answer, 1)
	d.leftover.Add(1)
	go func() {
		defer d.leftover.Add(-1)
		ans := activeset.Answer{Err: errClientGone}
		defer func() { done <- ans }() // even when ask does not return, and its goroutine ends
		ans = d.ask(ctx, req)
	}()
	select {
	case ans := <-done:
		return ans
	case <-ctx.Done():
	}
	grace := time.NewTimer(heedGrace)
	defer grace.Stop()
	select {
	case ans := <-done:
		return ans
	case <-grace.C:
		return activeset.Answer{Err: fmt.Errorf("the TMClient has not returned: %w", ended(ctx))}
	}
}

// useEnvironment tells the feed which environment the list is of, where none is configured, so that it can listen to the
// heartbeats of that one. A feed that does not return is waited for until ctx ends, for a moment at most, and is told of
// nothing else until it has; Close waits for it as for its Run.
func (d *TenantDiscovery) useEnvironment(ctx context.Context, r *run, ans activeset.Answer) {
	feed, takes := d.feed.(tenant.EnvironmentFeed)
	name, err := tenant.ParseEnvironment(ans.Environment)
	if ans.Err != nil || err != nil || !takes || d.cfg.Environment != "" || name == "" || name == r.environment {
		return
	}
	select {
	case <-r.told:
	default:
		return // it will be told with a later list
	}
	told := make(chan struct{})
	r.environment, r.told = name, told
	r.wg.Go(func() {
		defer close(told)
		if err := guarded(func() { feed.UseEnvironment(name) }); err != nil {
			d.noteFeed(err)
		}
	})
	grace := time.NewTimer(heedGrace)
	defer grace.Stop()
	select {
	case <-told:
	case <-ctx.Done():
	case <-grace.C:
		d.noteFeed(errNotReturned)
	}
}

var errNotReturned = errors.New("its UseEnvironment has not returned")

func (d *TenantDiscovery) noteFeed(err error) {
	d.log(slog.LevelError, "the Feed cannot use the list's environment", "error", err)
}

// guarded calls code of others on a goroutine of its own and waits for it. It returns an error when that panics, or ends
// its goroutine, which ends nothing else then.
func guarded(code func()) error {
	ended := make(chan error, 1)
	go func() {
		failure := errGoroutine
		defer func() { ended <- failure }()
		defer func() {
			if p := recover(); p != nil {
				failure = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
			}
		}()
		code()
		failure = nil
	}()
	return <-ended
}

// ask reads the snapshot, or what has changed.
func (d *TenantDiscovery) ask(ctx context.Context, req activeset.Request) (ans activeset.Answer) {
	defer func() {
		if p := recover(); p != nil {
			ans = activeset.Answer{Err: fmt.Errorf("the TMClient did not return: %w: %v\n%s", errPanic, p, debug.Stack())}
		}
	}()
	if req.Since.Epoch != "" {
		return d.checked(d.askChanges(ctx, req))
	}
	if d.cfg.Names {
		ans.Rows.KeepNames()
	}
	if d.snapshots != nil {
		ans.Snapshot, ans.Err = d.snapshots.FetchSnapshot(ctx, tenant.SnapshotRequest{Service: d.cfg.ServiceName, Have: req.Have, Each: ans.Rows.Add})
		if ans.Err == nil && ans.NotModified && req.Have.ETag == "" {
			ans.Err = errNotAsked
		}
		return d.checked(ans)
	}
	list, err := d.cfg.TMClient.GetActiveTenantsByService(ctx, d.cfg.ServiceName)
	for _, row := range list {
		if row == nil {
			row = &tenant.Summary{} // which is skipped and counted
		}
		ans.Rows.Add(tenant.RowOf(*row))
	}
	ans.Err = err
	return d.checked(ans)
}

// askChanges reads what has changed since the version.
func (d *TenantDiscovery) askChanges(ctx context.Context, req activeset.Request) activeset.Answer {
	changes := req.Changes()
	to, err := d.changes.FetchChanges(ctx, tenant.ChangesRequest{Service: d.cfg.ServiceName, Since: req.Since, Each: func(event []byte) {
		evt, err := tenant.ParseEvent(event)
		if err != nil {
			changes.Fail(err)
			return
		}
		changes.Add(d.judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: evt}))
	}})
	switch {
	case errors.Is(err, tenant.ErrChangesGone):
		return activeset.Answer{Refused: activeset.ChangesGone}
	case errors.Is(err, tenant.ErrNoChanges):
		return activeset.Answer{Refused: activeset.NoChanges}
	case err != nil:
		return activeset.Answer{Err: err}
	}
	changes.End(to)
	return activeset.Answer{Snapshot: tenant.Snapshot{Environment: to.Environment}, Changes: changes}
}

// checked looks at what the TMClient returned as an error, and makes a failure of a list that is another manager's, or that
// nobody can read.
func (d *TenantDiscovery) checked(ans activeset.Answer) activeset.Answer {
	if ans.Err != nil {
		ans.Err = enter(ans.Err)
		return ans
	}
	ans.Environment = activeset.NormalEnvironment(ans.Environment)
	if listed := ans.Environment; listed != "" && d.cfg.Environment != "" && listed != d.cfg.Environment {
		ans.Err = enter(&EnvironmentError{Configured: d.cfg.Environment, Listed: listed})
	} else if !ans.Rows.Readable() {
		given, unusable := ans.Rows.Counts()
		ans.Err = enter(&UnusableListError{Rows: given, Unusable: unusable})
	}
	return ans
}

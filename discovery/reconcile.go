package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
)

// ErrOldSnapshot says that a snapshot is older than what the set knows already, for example because it comes from a
// replica that lags behind. The snapshot is refused.
var ErrOldSnapshot = activeset.ErrOldSnapshot

// Refresh reconciles now, without a random wait and without a back-off, and returns when that is done. The request for
// the list always begins after the call of Refresh. Refresh does not wait for removals that the [RemovalGuard] holds
// back. It returns the error of the request, wrapped; [ErrNotStarted] before Start has succeeded; [ErrClosed] after
// Close; and the error of ctx when ctx ends.
func (d *TenantDiscovery) Refresh(ctx context.Context) error {
	result := make(chan error, 1)
	var err error
	d.update(func(time.Time) {
		if err = d.usable(); err == nil {
			d.waiting = append(d.waiting, result)
			d.core.Want()
		}
	})
	if err != nil {
		return err
	}
	select {
	case err := <-result:
		return err
	case <-d.closed:
		return ErrClosed
	case <-ctx.Done():
		d.forgetWaiting(result)
		return fmt.Errorf("discovery: refresh: %w", ended(ctx))
	}
}

func (d *TenantDiscovery) forgetWaiting(result chan error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = slices.DeleteFunc(d.waiting, func(other chan error) bool { return other == result })
}

// bootstrap waits for the feed, asks once for the snapshot and makes it the set.
func (d *TenantDiscovery) bootstrap(ctx, life context.Context, r *run) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(life, func() { cancel(ErrClosed) })()
	saved := d.load()
	d.awaitLink(ctx, r, saved != nil)
	if life.Err() != nil {
		return ErrClosed
	}
	if ctx.Err() != nil {
		return fmt.Errorf("discovery: start: %w", ended(ctx))
	}
	req := d.beginRequest()
	spanned, done := d.telemetry.reconcile(ctx, req.Cause)
	ans := d.fetchFirst(spanned, req, saved != nil)
	done(ans.Err, ans)
	if life.Err() != nil {
		return ErrClosed
	}
	fatal := saved == nil || activeset.Known(ans.Err).Hopeless || ctx.Err() != nil
	if ctx.Err() != nil && !activeset.Known(ans.Err).Ended { // even when the answer came after that
		ans.Err = errors.Join(ended(ctx), ans.Err)
	}
	if ans.Err != nil && fatal {
		return fmt.Errorf("discovery: bootstrap of service %q: %w", d.cfg.ServiceName, ans.Err)
	}
	var err error
	d.deciding().Prepare(&ans, d.set(), &r.digests)
	d.update(func(now time.Time) {
		switch {
		case d.core.Closed():
			err = ErrClosed
		case ans.Err != nil:
			d.core.Restore(now, *saved, req.Request, ans.Err)
		default:
			err = d.core.Answer(now, req.Request, ans)
		}
	})
	if err == nil {
		d.useEnvironment(ctx, r, ans)
		close(r.ready)
	}
	return err
}

// fetchFirst is fetch, but with a file to start from it does not wait long.
func (d *TenantDiscovery) fetchFirst(ctx context.Context, req request, haveFile bool) activeset.Answer {
	if haveFile {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, fileGrace)
		defer cancel()
	}
	return d.fetch(ctx, req.Request)
}

// awaitLink waits until the feed was confirmed or has failed, as long as Start may wait for that.
func (d *TenantDiscovery) awaitLink(ctx context.Context, r *run, haveFile bool) {
	patience := d.cfg.FeedTimeout
	if haveFile {
		patience = min(patience, fileGrace)
	}
	if end, bounded := ctx.Deadline(); bounded {
		patience = min(patience, time.Until(end)/2)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-r.linked:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// keepReconciled asks for a snapshot whenever one is due, one at a time, until ctx ends.
func (d *TenantDiscovery) keepReconciled(ctx context.Context, r *run) {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return
	}
	for d.awaitDue(ctx, r) {
		req := d.beginRequest()
		spanned, done := d.telemetry.reconcile(ctx, req.Cause)
		ans := d.fetch(spanned, req.Request)
		var result error
		if result = ctx.Err(); result == nil {
			result = d.finish(r, req, ans)
		}
		d.useEnvironment(ctx, r, ans)
		if result == activeset.ErrAskWhole { //nolint:errorlint // it is this one, and those who wait go on waiting
			done(result, ans)
			continue
		}
		if result != nil {
			result = fmt.Errorf("discovery: reconcile: %w", result)
		}
		done(result, ans)
		if ctx.Err() != nil {
			return // those who wait for a Refresh hear of the Close
		}
		for _, waiting := range req.waiting {
			waiting <- result // has room for it
		}
	}
}

// rebuildShare bounds the part of the time that is spent on rebuilding while everything changes: a tenth.
const rebuildShare = 9

// rebuild builds the set in a better form, if much of it has changed. That takes a tenth of a second for a million tenants and holds up
// nobody: what changes meanwhile is changed in both. The goroutine that asks for lists does it, so that what it compares a list with is
// not replaced before the list is taken.
func (d *TenantDiscovery) rebuild(r *run) {
	began, was := time.Now(), d.set()
	if !d.deciding().Worn(was) {
		return
	}
	r.digests = activeset.Digests{} // whose base this replaces
	is := was.Rebuilt()
	d.update(func(time.Time) { d.core.Rebuild(was, is) })
	r.rested = time.Now().Add(rebuildShare * time.Since(began))
}

// awaitDue returns true once a request is due, and false when ctx has ended. Meanwhile it keeps the set in a good form.
func (d *TenantDiscovery) awaitDue(ctx context.Context, r *run) bool {
	for ctx.Err() == nil {
		wait := d.untilDue()
		if wait <= 0 {
			return true
		}
		worn := r.worn
		if rest := time.Until(r.rested); rest > 0 {
			worn, wait = nil, min(wait, rest)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.kick:
		case <-worn:
			d.rebuild(r)
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return false
}

func (d *TenantDiscovery) untilDue() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Until(d.due)
}

// request is one question for the snapshot, and who waits for its answer.
type request struct {
	activeset.Request

	waiting []chan error // Refreshes that it answers
}

// beginRequest notes which events and gaps were there before the answer.
func (d *TenantDiscovery) beginRequest() (req request) {
	d.update(func(now time.Time) {
		req.Request, req.waiting = d.core.Ask(now), d.waiting
		d.waiting = nil
	})
	return req
}

// finish takes in the answer, or the failure, and returns what a Refresh is told.
func (d *TenantDiscovery) finish(r *run, req request, ans activeset.Answer) (err error) {
	d.deciding().Prepare(&ans, d.set(), &r.digests)
	d.update(func(now time.Time) {
		err = d.core.Answer(now, req.Request, ans)
		if err == activeset.ErrAskWhole && len(req.waiting)+len(d.waiting) > 0 { //nolint:errorlint // it is this one
			d.waiting = append(req.waiting, d.waiting...)
			d.core.Want()
		}
	})
	return err
}

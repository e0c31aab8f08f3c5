package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// ErrOldSnapshot is a snapshot that is older than what the set knows, as of a replica that lags behind. It is refused.
var ErrOldSnapshot = errors.New("the snapshot is older than the set")

// request is one question for the snapshot.
type request struct {
	cause   string         // for telemetry
	tick    uint64         // of the memory when it began
	known   tenant.Version // by then
	heard   uint64         // the newest revision by then
	losses  uint64         // that were known of when it began
	gap     uint64         // the newest gap when it began: it closes all up to that
	have    tenant.Version
	waiting []chan error // Refreshes that it answers
}

// Refresh reconciles now, without jitter and back-off, and waits for it. It never joins a request that began before it was
// called. A removal that the guard holds is not waited for. It returns the error of the request, wrapped,
// [ErrNotStarted] before Start has succeeded, [ErrClosed] after Close, and that of ctx when it ends.
func (d *TenantDiscovery) Refresh(ctx context.Context) error {
	result := make(chan error, 1)
	var err error
	d.update(func(time.Time) {
		if err = d.core.usable(); err == nil {
			d.core.waiting = append(d.core.waiting, result)
			d.core.plan.refresh = true
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
		d.update(func(time.Time) {
			d.core.waiting = slices.DeleteFunc(d.core.waiting, func(other chan error) bool { return other == result })
		})
		return fmt.Errorf("discovery: refresh: %w", ended(ctx))
	}
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
	spanned, done := d.telemetry.reconcile(ctx, req.cause)
	ans := d.fetchFirst(spanned, req, saved != nil)
	done(ans.err, ans.unchanged)
	if life.Err() != nil {
		return ErrClosed
	}
	fatal := saved == nil || hopeless(ans.err) || ctx.Err() != nil
	if ctx.Err() != nil && !known(ans.err).ended { // also when the answer came after that
		ans.err = errors.Join(ended(ctx), ans.err)
	}
	if ans.err != nil && fatal {
		return fmt.Errorf("discovery: bootstrap of service %q: %w", d.cfg.ServiceName, ans.err)
	}
	var err error
	d.update(func(now time.Time) {
		if d.core.phase == phaseClosed {
			err = ErrClosed
			return
		}
		d.started(now, saved, req, ans)
	})
	if err == nil {
		d.useEnvironment(ctx, r, ans)
		close(r.ready)
	}
	return err
}

// started makes the answer the first set or, where it is none, the file.
func (d *TenantDiscovery) started(now time.Time, saved *savedSet, req request, ans answer) {
	d.core.phase = phaseStarted
	d.core.history.bootstrapped = now
	if ans.err == nil {
		d.take(now, req, ans, tenant.CauseBootstrap)
	} else {
		d.startFrom(now, saved, req, ans.err)
	}
}

// fetchFirst is fetch, but with a file to start from it does not wait long.
func (d *TenantDiscovery) fetchFirst(ctx context.Context, req request, haveFile bool) answer {
	if haveFile {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, fileGrace)
		defer cancel()
	}
	return d.fetch(ctx, req.have)
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
		spanned, done := d.telemetry.reconcile(ctx, req.cause)
		ans := d.fetch(spanned, req.have)
		var result error
		if result = ctx.Err(); result == nil {
			d.update(func(now time.Time) { result = d.finish(now, req, ans) })
		}
		d.useEnvironment(ctx, r, ans)
		if result == errAskWhole { //nolint:errorlint // it is this one, and those who wait go on waiting
			done(nil, true)
			continue
		}
		done(result, ans.unchanged)
		if ctx.Err() != nil {
			return // those who wait for a Refresh hear of the Close
		}
		for _, waiting := range req.waiting {
			waiting <- result // has room for it
		}
	}
}

// awaitDue returns true once a request is due, and false when ctx has ended.
func (d *TenantDiscovery) awaitDue(ctx context.Context, r *run) bool {
	for ctx.Err() == nil {
		var due, turn time.Time
		d.update(func(now time.Time) { due, turn = d.core.plan.due(), d.core.turn(now, d.cfg.PollInterval) })
		wait := time.Until(due)
		if wait <= 0 {
			return true
		}
		if !turn.IsZero() {
			wait = min(wait, time.Until(turn)) // the state has to be worked out again then
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.kick:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return false
}

// beginRequest notes which events and gaps were there before the answer.
func (d *TenantDiscovery) beginRequest() (req request) {
	d.update(func(now time.Time) { req = d.core.request(now) })
	return req
}

func (c *core) request(now time.Time) request {
	req := request{
		cause: c.plan.cause(now), tick: c.memory.tick, known: c.memory.known(), heard: c.memory.heard(),
		losses: c.losses, gap: c.gaps, have: c.have, waiting: c.waiting,
	}
	if c.phase == phaseStarting {
		req.cause = "bootstrap"
	}
	if req.have.Epoch != "" {
		req.have.Revision = req.known.Revision // events of other services have led there since
	}
	c.waiting = nil
	c.plan.refresh, c.plan.lastBegin = false, now
	return req
}

// finish takes in the answer, or the failure, and returns what a Refresh is told.
func (d *TenantDiscovery) finish(now time.Time, req request, ans answer) error {
	c := &d.core
	if ans.unchanged && ans.version.Epoch == "" {
		ans.version.Epoch, ans.version.Revision, ans.version.ETag = req.have.Epoch, req.have.Revision, req.have.ETag // a 304 need not repeat it
	}
	if ans.err == nil && ans.unchanged && check(ans.version, req.known.Epoch, req.heard) != nil {
		return d.askWhole(now, req)
	}
	if ans.err == nil {
		ans.err = d.checkAge(now, req, ans.version)
	}
	if ans.err == nil {
		c.status.Counters.Reconciles++
		d.take(now, req, ans, tenant.CauseReconcile)
		return nil
	}
	c.status.Counters.SnapshotsFailed++
	if refusesCondition(ans.err) {
		c.have = tenant.Version{} // a client of others, which may ask with the same ETag for ever
	}
	level := slog.LevelDebug
	if c.snapshotErr == nil {
		level, c.failingSince = slog.LevelWarn, now
	}
	c.snapshotErr = ans.err
	c.plan.failed(now, ans.err, d.cfg.ResyncSpread)
	c.note(level, "the snapshot failed; the set is kept and it is asked again",
		slog.Any("error", ans.err), slog.String("again_in", c.plan.notBefore.Sub(now).String()))
	return fmt.Errorf("discovery: reconcile: %w", ans.err)
}

// errAskWhole stands for an answer that says nothing yet: those who wait for it wait for the next.
var errAskWhole = errors.New("the list is asked for without its ETag")

// askWhole asks again, without the ETag: a 304 of a revision before events that were heard may be of a list that is old, or
// of a manager that leaves its version out.
func (d *TenantDiscovery) askWhole(now time.Time, req request) error {
	c := &d.core
	c.have = tenant.Version{}
	c.waiting = append(req.waiting, c.waiting...)
	c.plan.succeeded(now, d.interval())
	c.plan.gapOpened(now, 0)
	c.plan.refresh = len(c.waiting) > 0
	c.note(slog.LevelDebug, "the list is said to be the same, and events from after it were heard; it is asked for as a whole")
	return errAskWhole
}

// mostRefused is how many snapshots in a row may be older than events that were heard beyond a hole, before it is the
// events that are not believed: whoever may publish can name any revision.
const mostRefused = 4

// checkAge refuses an old snapshot, but not for ever: a manager that says the same again and again is right.
func (d *TenantDiscovery) checkAge(now time.Time, req request, v tenant.Version) error {
	c := &d.core
	err := check(v, req.known.Epoch, req.heard)
	past := c.memory.past(v.Epoch)
	if past {
		err = fmt.Errorf("%w: it is of epoch %q, which the manager has left", ErrOldSnapshot, v.Epoch)
	}
	if err == nil {
		c.refused = 0
		return nil
	}
	if c.refused == 0 {
		c.refusedSince = now
	}
	c.refused++
	beyondHole := !past && v.Revision >= req.known.Revision && c.refused > mostRefused
	if !beyondHole && now.Sub(c.refusedSince) < d.cfg.ResyncInterval {
		return err
	}
	c.refused = 0
	if past {
		return nil // that the epoch is another one now is warned of elsewhere
	}
	c.memory.believe(v.Revision, req.tick)
	d.openGap(now, "events that are not believed any more may have made others seem old")
	c.note(slog.LevelWarn, "events of revisions that the manager does not know were heard, and are not believed; who may publish?",
		slog.Uint64("heard", req.heard), slog.Uint64("revision", v.Revision))
	return nil
}

// take makes the set what the snapshot says, overridden by newer events.
func (d *TenantDiscovery) take(now time.Time, req request, ans answer, cause tenant.Cause) {
	c := &d.core
	explained := c.fromFile || !c.linked() || c.losses != c.covered
	c.snapshotErr, c.failingSince, c.fromFile = nil, time.Time{}, false
	if ans.version.Environment != "" {
		c.environment = ans.version.Environment
		d.telemetry.isOf(c.environment)
	}
	c.status.LastSnapshot = now
	held, doubtful := 0, false
	if ans.unchanged {
		c.status.Counters.SnapshotsUnchanged++
	} else {
		held, doubtful = d.merge(now, req, ans, cause, explained)
	}
	c.plan.succeeded(now, d.interval())
	if ans.unchanged && c.have.ETag != req.have.ETag {
		d.openGap(now, "the set has changed while the manager answered that its list has not")
		return
	}
	c.held = held > 0
	if held > 0 {
		if c.gaps > req.gap {
			c.plan.gapOpened(now, d.cfg.ResyncSpread)
		}
		d.holdBack(now, held) // the set is not the snapshot's, so nothing is closed or forgotten
		return
	}
	if ans.version.Epoch != "" || !ans.unchanged {
		c.status.Version = ans.version
	}
	d.cover(now, req, ans)
	if doubtful {
		d.openGap(now, "tenant.activated of a tenant that the list, which may be older, does not have")
	}
}

// cover closes what the snapshot has made good, and forgets what it has covered.
func (d *TenantDiscovery) cover(now time.Time, req request, ans answer) {
	c := &d.core
	before := c.memory.epoch
	whole, newEpoch := c.memory.taken(ans.version, req.tick)
	if newEpoch {
		c.hearing.listed(now)
		c.note(slog.LevelWarn, "the manager has a new data set, as after a restore from a backup; the set is now that one's",
			slog.String("epoch_before", before), slog.String("epoch", ans.version.Epoch))
	}
	if !ans.unchanged && c.memory.marked() == 0 {
		c.have = ans.version
	}
	c.closed = req.gap
	c.covered = req.losses
	switch {
	case !whole:
		d.openGap(now, "events newer than the snapshot are missing")
	case c.gaps > c.closed:
		c.plan.gapOpened(now, d.cfg.ResyncSpread)
	}
}

// merge reconciles the set with the answer. It returns how many removals are held, and whether the answer may be too old.
// explained says that it is known why the list and the set may differ.
func (d *TenantDiscovery) merge(
	now time.Time, req request, ans answer, cause tenant.Cause, explained bool,
) (held int, doubtful bool) {
	c := &d.core
	listed := len(ans.rows.ids)
	doubtful = c.memory.override(&ans.rows, ans.version, req.tick)
	set, changes, held := reconcile(c.set, ans.rows, d.guard(), cause, now)
	c.set, c.have = set, tenant.Version{}
	c.status.Counters.RowsSkipped += ans.rows.skipped
	if cause == tenant.CauseReconcile {
		c.status.Counters.DriftFound += uint64(len(changes))
		if before := c.memory.known().Epoch; !explained && (before == "" || before == ans.version.Epoch) {
			c.differences.found(changes, ans.version, now)
		}
	}
	d.publish(changes, nil)
	d.noteMerge(changes, ans.rows.skipped, listed, cause)
	return held, doubtful
}

func (d *TenantDiscovery) noteMerge(changes []tenant.Change, skipped uint64, listed int, cause tenant.Cause) {
	c := &d.core
	level := slog.LevelDebug
	if len(changes) > 0 || cause == tenant.CauseBootstrap {
		level = slog.LevelInfo
	}
	removed := 0
	for _, change := range changes {
		if change.Kind == tenant.Removed {
			removed++
		}
	}
	c.note(level, "snapshot taken", slog.String("cause", string(cause)), slog.Int("listed", listed),
		slog.Int("added", len(changes)-removed), slog.Int("removed", removed))
	if skipped > 0 {
		level := slog.LevelWarn
		if skipped == c.alarms.skipped {
			level = slog.LevelDebug // the same as in the list before
		}
		c.note(level, "rows of the snapshot were skipped: no valid id, not active, or listed twice", slog.Uint64("rows", skipped))
	}
	c.alarms.skipped = skipped
	if cause == tenant.CauseBootstrap && listed == 0 {
		c.note(slog.LevelWarn, "the manager knows no active tenant for this service; is ServiceName spelled as in the manager?")
	}
}

// interval is the time to the next reconcile if nothing happens.
func (d *TenantDiscovery) interval() time.Duration {
	if d.core.linked() {
		return d.cfg.ResyncInterval
	}
	return d.cfg.PollInterval
}

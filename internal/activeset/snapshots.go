package activeset

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// mostRefused is how many snapshots in a row may be older than events that were heard beyond a hole, before it is the
// events that are not believed: whoever may publish can name any revision.
const mostRefused = 4

var (
	// ErrOldSnapshot is a snapshot that is older than what the set knows, as of a replica that lags behind. It is refused.
	ErrOldSnapshot = errors.New("the snapshot is older than the set")
	// ErrAskWhole stands for an answer that says nothing yet: the owner asks again at once, and whoever waits for the answer
	// waits for the next one.
	ErrAskWhole = errors.New("the list is asked for without its ETag")
)

// Request is one question for the snapshot: what was known when it began.
type Request struct {
	// Since is what changes are asked for since; zero when the list is wanted. Have is the version to ask for that with; zero when
	// it is wanted whatever it is. Cause is for telemetry.
	Since tenant.Version
	Have  tenant.Snapshot
	Cause string

	tick   uint64         // of the memory
	known  tenant.Version // by the set
	heard  uint64         // the newest revision
	losses uint64         // that were known of
	gap    uint64         // the newest gap: the request closes all up to that
	before Set            // where there is a Since: what that is the version of
}

// Answer is what came of a request. Its error has been looked at.
type Answer struct {
	tenant.Snapshot

	Rows    Rows
	Changes *Changes // in place of rows, where the request had a Since
	Refused Refusal  // where there are no changes to such a request
	// Difference is what leads from the set to what was answered, as [Config.Prepare] has worked it out since the request began; nil where
	// nobody has.
	Difference *Difference
	Err        error
}

// Saved is a set that was kept from before.
type Saved struct {
	Tenants []string
	At      time.Time // when the manager was heard last
}

// Want asks for a reconcile at once, without jitter and back-off.
func (c *Core) Want() { c.plan.refresh = true }

// Ask begins a request.
func (c *Core) Ask(now time.Time) Request {
	req := Request{
		Cause: c.plan.cause(now), Have: c.have,
		tick: c.memory.tick, known: c.memory.known(), heard: c.memory.heard(), losses: c.losses, gap: c.gaps,
	}
	if c.phase == phaseStarting {
		req.Cause = "bootstrap"
	}
	if req.Have.Version.Epoch != "" {
		req.Have.Version.Revision = req.known.Revision // events of other services have led there since
	}
	if c.asksChanges(now) {
		req.Since, req.before = req.known, c.Set()
	}
	c.plan.refresh, c.plan.lastBegin = false, now
	return req
}

// Answer takes in what came of the request. The first answer that is a list starts the core; one that is an error changes
// nothing before that. Later an error keeps the set, and asks again. The error is that of the answer, [ErrOldSnapshot] for one
// that is refused, or [ErrAskWhole].
func (c *Core) Answer(now time.Time, req Request, ans Answer) error {
	if c.phase == phaseStarting {
		return c.bootstrap(now, req, ans)
	}
	if ans.Err == nil && ans.Refused != NotRefused {
		return c.withoutChanges(now, ans)
	}
	if ans.NotModified && ans.Version.Epoch == "" {
		ans.Version, ans.ETag = req.Have.Version, req.Have.ETag // a 304 need not repeat it
	}
	if ans.Err == nil && ans.NotModified && check(ans.Version, req.known.Epoch, req.heard) != nil {
		return c.askWhole(now)
	}
	if ans.Err == nil {
		ans.Err = c.checkAge(now, req, ans.Version)
	}
	if ans.Err != nil {
		c.failed(now, ans.Err)
		return ans.Err
	}
	c.status.Counters.Reconciles++
	c.take(now, req, ans, tenant.CauseReconcile)
	return nil
}

func (c *Core) bootstrap(now time.Time, req Request, ans Answer) error {
	if ans.Err != nil {
		return ans.Err
	}
	c.phase = phaseStarted
	c.take(now, req, ans, tenant.CauseBootstrap)
	return nil
}

// Restore starts the core with the set that was saved, because the request has failed.
func (c *Core) Restore(now time.Time, saved Saved, req Request, failure error) {
	c.phase = phaseStarted
	var rows Rows
	for _, id := range saved.Tenants {
		rows.Add(tenant.Row{ID: []byte(id)})
	}
	rows.Seal()
	list := rows.set
	overridden, _ := c.memory.override(&list, tenant.Version{}, req.tick)
	m := reconcile(c.set, list, compare(c.set, rows.set, c.cfg.Slack), overridden, origin{tenant.CauseSnapshotFile, now})
	c.set, c.fromFile = m.result(), true
	c.status.LastSnapshot = saved.At
	c.snapshotErr, c.failingSince = failure, now
	c.plan.succeeded(now, c.interval())
	c.openGap(now, "started from the snapshot file")
	c.plan.failed(now, Known(failure), c.cfg.ResyncSpread)
	c.log(Warn, "the manager does not answer; started from the snapshot file",
		"error", failure, "listed", rows.Len(), "age", max(0, now.Sub(saved.At)).Round(time.Second).String())
	c.tellMerged(m, tenant.CauseSnapshotFile)
}

func (c *Core) failed(now time.Time, err error) {
	failure := Known(err)
	c.status.Counters.SnapshotsFailed++
	if failure.RefusesCondition {
		c.have = tenant.Snapshot{} // a client of others, which may ask with the same ETag for ever
	}
	level := Debug
	if c.snapshotErr == nil {
		level, c.failingSince = Warn, now
	}
	c.snapshotErr = err
	c.plan.failed(now, failure, c.cfg.ResyncSpread)
	c.log(level, "the snapshot failed; the set is kept and it is asked again",
		"error", err, "again_in", c.plan.notBefore.Sub(now).String())
}

// askWhole asks again, without the ETag: a 304 of a revision before events that were heard may be of a list that is old, or
// of a manager that leaves its version out.
func (c *Core) askWhole(now time.Time) error {
	c.have = tenant.Snapshot{}
	c.plan.succeeded(now, c.interval())
	c.plan.gapOpened(now, 0)
	c.log(Debug, "the list is said to be the same, and events from after it were heard; it is asked for as a whole")
	return ErrAskWhole
}

// check refuses a snapshot that is older than what had been heard of when it was asked for, as a replica gives that lags
// behind. One that only events have overtaken since is as good as any.
func check(v tenant.Version, epoch string, heard uint64) error {
	if v.Epoch != "" && v.Epoch == epoch && v.Revision < heard {
		return fmt.Errorf("%w: it is at revision %d, and %d had been heard of when it was asked for", ErrOldSnapshot, v.Revision, heard)
	}
	return nil
}

// checkAge refuses an old snapshot, but not for ever: a manager that says the same again and again is right.
func (c *Core) checkAge(now time.Time, req Request, v tenant.Version) error {
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
	if !beyondHole && now.Sub(c.refusedSince) < c.cfg.ResyncInterval {
		return err
	}
	c.refused = 0
	if past {
		return nil // that the epoch is another one now is warned of elsewhere
	}
	c.memory.believe(v.Revision, req.tick)
	c.openGap(now, "events that are not believed any more may have made others seem old")
	c.log(Warn, "events of revisions that the manager does not know were heard, and are not believed; who may publish?",
		"heard", req.heard, "revision", v.Revision)
	return nil
}

// take makes the set what the snapshot says, overridden by newer events.
func (c *Core) take(now time.Time, req Request, ans Answer, cause tenant.Cause) {
	explained := c.fromFile || !c.linked() || c.losses != c.covered
	c.snapshotErr, c.failingSince, c.fromFile = nil, time.Time{}, false
	if ans.Environment != "" {
		c.environment = ans.Environment
	}
	c.status.LastSnapshot = now
	if ans.Changes == nil {
		c.listedAt, c.whole = now, false
	} else {
		c.status.Counters.ReconcilesByChanges++
	}
	held, doubtful := 0, false
	if ans.NotModified {
		c.status.Counters.SnapshotsUnchanged++
	} else {
		held, doubtful = c.merge(now, req, ans, cause, explained)
	}
	c.plan.succeeded(now, c.interval())
	if ans.NotModified && c.have.ETag != req.Have.ETag {
		c.openGap(now, "the set has changed while the manager answered that its list has not")
		return
	}
	c.held = held > 0
	if held > 0 {
		if c.gaps > req.gap {
			c.plan.gapOpened(now, c.cfg.ResyncSpread)
		}
		c.holdBack(now, held) // the set is not the snapshot's, so nothing is closed or forgotten
		return
	}
	if ans.Version.Epoch != "" || !ans.NotModified {
		c.status.Version = ans.Version
	}
	c.takeNames(req, ans)
	c.cover(now, req, ans)
	if doubtful {
		c.openGap(now, "tenant.activated of a tenant that the list, which may be older, does not have")
	}
}

// cover closes the gaps from before the request, and forgets what the snapshot has covered.
func (c *Core) cover(now time.Time, req Request, ans Answer) {
	before := c.memory.epoch
	whole, newEpoch := c.memory.taken(ans.Version, req.tick)
	c.memory.bridge(c.span)
	if newEpoch {
		c.hearing.listed(now)
		c.log(Warn, "the manager has a new data set, as after a restore from a backup; the set is now that one's",
			"epoch_before", before, "epoch", ans.Version.Epoch)
	}
	if !ans.NotModified && c.memory.marked() == 0 {
		c.have = ans.Snapshot
	}
	if c.cfg.Names {
		c.have.ETag = "" // which does not change with a name
	}
	c.closed = req.gap
	c.covered = req.losses
	switch {
	case !whole:
		c.openGap(now, "events newer than the snapshot are missing")
	case c.gaps > c.closed:
		c.plan.gapOpened(now, c.cfg.ResyncSpread)
	}
}

// takeNames takes those that the answer brings.
func (c *Core) takeNames(req Request, ans Answer) {
	switch {
	case c.names.of == nil:
	case ans.Changes != nil:
		c.names.listed(nil, ans.Changes.named, c.set, ans.Version, req.tick)
	case ans.NotModified:
		c.names.listed(nil, nil, c.set, ans.Version, req.tick)
	default:
		c.names.listed(ans.Rows.names, nil, c.set, ans.Version, req.tick)
	}
}

// merge reconciles the set with the answer. It returns how many removals are held, and whether the answer may be too old.
// explained says that it is known why the list and the set may differ.
func (c *Core) merge(now time.Time, req Request, ans Answer, cause tenant.Cause, explained bool) (held int, doubtful bool) {
	ans.Rows.Seal()
	list := ans.Rows.set
	overridden, doubtful := c.memory.override(&list, ans.Version, req.tick)
	m := reconcile(c.set, list, c.difference(ans), overridden, origin{cause, now})
	if c.holds(m.removals()) {
		held = m.removals()
		m.keepAll()
	}
	c.set, c.have = m.result(), tenant.Snapshot{}
	c.status.Counters.RowsSkipped += ans.Rows.skipped
	told := c.tellMerged(m, cause)
	if ans.Changes != nil {
		c.tellReconfigured(now, ans.Changes)
	}
	if cause == tenant.CauseReconcile {
		c.status.Counters.DriftFound += uint64(m.removals() + m.additions()) //nolint:gosec // a count is never negative
		if before := c.memory.known().Epoch; !explained && (before == "" || before == ans.Version.Epoch) {
			c.differences.found(told, ans.Version, now)
		}
	}
	c.logMerge(m, ans.Rows.skipped, ans.Rows.Len(), cause)
	return held, doubtful
}

// difference is the one that came with the answer, while it is of any use, and else a new one.
func (c *Core) difference(ans Answer) *Difference {
	if d := ans.Difference; d != nil && d.before.base == c.set.base && d.listed == ans.Rows.set {
		return d
	}
	return compare(c.set, ans.Rows.set, c.cfg.Slack)
}

func (c *Core) logMerge(m *merging, skipped uint64, listed int, cause tenant.Cause) {
	level, added, removed := Debug, m.additions(), m.removals()
	if added+removed > 0 || cause == tenant.CauseBootstrap {
		level = Info
	}
	c.log(level, "snapshot taken", "cause", string(cause), "listed", listed, "added", added, "removed", removed)
	if skipped > 0 {
		level := Warn
		if skipped == c.alarms.skipped {
			level = Debug // the same as in the list before
		}
		c.log(level, "rows of the snapshot were skipped: no valid id, not active, or listed twice", "rows", skipped)
	}
	c.alarms.skipped = skipped
	if cause == tenant.CauseBootstrap && listed == 0 {
		c.log(Warn, "the manager knows no active tenant for this service; is ServiceName spelled as in the manager?")
	}
}

// interval is the time to the next reconcile if nothing happens.
func (c *Core) interval() time.Duration {
	if c.linked() {
		return c.cfg.ResyncInterval
	}
	return c.cfg.PollInterval
}

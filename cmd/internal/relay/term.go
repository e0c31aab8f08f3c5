package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// maxWindow is how many pending events are looked through, when those that come first have to wait, for some that do not.
const maxWindow = 1 << 16

// errDeposed means that the lock is gone: another process may relay by now.
var errDeposed = errors.New("the lock of the relay is gone")

// term is one time of leading. All of it belongs to the goroutine of Run.
type term struct {
	*Relay

	began    time.Time        // by our own clock
	window   int              // how many pending events are read
	late     late             // told, and not in the stream
	holds    holds            // tenants whose next event failed
	unmarked []store.EventRef // sent, and not marked yet
	taken    time.Time        // when Redis took an event last
	beating  bool             // the last heartbeat was taken
	beatAt   time.Time        // when the next one is due
	redis    trouble
	store    trouble
}

func newTerm(r *Relay) *term {
	return &term{Relay: r, began: time.Now(), window: r.cfg.Batch, holds: holds{}}
}

// run makes one pass after the other until ctx ends or the lock is gone.
func (t *term) run(ctx context.Context, retry *retries) error {
	for ctx.Err() == nil {
		pause, err := t.pass(ctx)
		switch {
		case errors.Is(err, errDeposed) || ctx.Err() != nil:
			return err
		case err != nil:
			t.store.began(ctx, t.log, "the outbox cannot be read or written; trying again", err)
			sleep(ctx, t.store.retry.next(), nil)
			continue
		}
		retry.reset()
		t.store.ended(ctx, t.log, "the outbox can be read and written again")
		if t.redis.lasts() { // and whoever wakes us does not make Redis come back
			sleep(ctx, min(t.redis.retry.next(), t.untilBeat()), nil)
			continue
		}
		sleep(ctx, pause, t.wake)
	}
	return ctx.Err()
}

// pass reads what is pending, sends what may be sent, marks it, and returns for how long there is nothing to do. The
// error is errDeposed or one of the store.
func (t *term) pass(ctx context.Context) (time.Duration, error) {
	if err := t.mark(ctx); err != nil {
		return 0, err
	}
	version, pending, err := t.read(ctx)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	batch := t.due(pending, now)
	done := map[uint64]bool{}
	if len(batch) == 0 {
		t.redis = trouble{} // nothing is kept from it
	} else {
		v, err := t.send(ctx, batch)
		if err == nil {
			err = t.settle(ctx, v, now, done)
		}
		if err != nil {
			return 0, err
		}
	}
	full := len(pending) == t.window
	if !full {
		t.holds.keep(pending)
	}
	t.seen.add(version, now)
	version.Revision = t.announced(version.Revision, pending, full, done)
	if err := t.beat(ctx, version); err != nil {
		return 0, err
	}
	t.late.advance(pending)
	appended, err := t.appendLate(ctx)
	if err != nil {
		return 0, err
	}
	grown := t.resize(full && len(done) == 0)
	if grown || appended || len(done) > 0 && (full || len(batch) == t.cfg.Batch) {
		return 0, nil
	}
	return t.holds.next(now, time.Now(), min(t.cfg.Poll, t.untilBeat(), t.late.rests())), nil
}

// announced returns the revision that a heartbeat names: the one before the oldest event that is not told, for as long as it
// was not told for a moment only; then the newest, so that listeners look for what they have not been told.
func (t *term) announced(newest uint64, pending []store.Event, full bool, done map[uint64]bool) uint64 {
	told := func(revision uint64) bool { return done[revision] || t.late.told[revision] }
	event, there := oldest(pending, told)
	if !there && full { // and the next one is about as old as the last of these
		event, there = pending[len(pending)-1], true
	}
	if there && t.tooLong(event, time.Now()) {
		return newest
	}
	return reached(newest, pending, full, told)
}

// tooLong believes who committed an event only for as long as this process has not looked for itself: a clock that is behind
// by more than the patience would have listeners look each time that something waits.
func (t *term) tooLong(event store.Event, now time.Time) bool {
	return t.seen.tooLong(event.Revision, now) || now.Sub(t.began) <= patience && now.Sub(event.At) > patience
}

// read returns the newest version, and then what is pending: whatever is not pending was there before, or is newer.
func (t *term) read(ctx context.Context) (tenant.Version, []store.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	version, err := t.cfg.Store.Version(ctx)
	if err != nil {
		return version, nil, fmt.Errorf("read the version: %w", err)
	}
	pending, err := t.cfg.Store.PendingAfter(ctx, t.late.through, t.window)
	if err != nil {
		return version, nil, fmt.Errorf("read the outbox: %w", err)
	}
	return version, pending, nil
}

// due returns the events that may be sent now, no more than fit into a batch.
func (t *term) due(pending []store.Event, now time.Time) []store.Event {
	if len(t.holds)+len(t.late.told) == 0 {
		return pending[:min(len(pending), t.cfg.Batch)]
	}
	room := min(t.cfg.Batch, maxWindow-len(t.late.told))
	var batch []store.Event
	for _, event := range pending {
		if len(batch) < room && !t.late.told[event.Revision] && !t.holds.waits(tenant.CanonicalID(event.TenantID), now) {
			batch = append(batch, event)
		}
	}
	return batch
}

// send publishes a batch, on the channels alone while the stream lacks what came before it.
func (t *term) send(ctx context.Context, batch []store.Event) (verdict, error) {
	if !t.late.lasts() {
		errs, err := t.publish(ctx, batch, t.cfg.Publisher.PublishAll)
		return judge(batch, errs), err
	}
	errs, err := t.publish(ctx, batch, t.cfg.Publisher.AnnounceAll)
	v := judge(batch, errs)
	for _, event := range v.sent {
		v.late = append(v.late, failure{event: event})
	}
	v.sent = nil
	return v, err
}

// publish has a batch published, unless the lock is gone. The time is counted from before the look at the lock. It goes on
// when ctx ends, so that what is under way comes to its end and is marked.
func (t *term) publish(ctx context.Context, batch []store.Event, all func(context.Context, [][]byte) []error) ([]error, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	if err := t.cfg.Store.Leading(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errDeposed, err)
	}
	events := make([][]byte, len(batch))
	for i, event := range batch {
		events[i] = event.Data
	}
	return all(ctx, events), nil
}

// settle notes in the store what became of a batch, and in done what needs no more sending.
func (t *term) settle(ctx context.Context, v verdict, now time.Time, done map[uint64]bool) error {
	t.metrics.published.Add(ctx, int64(len(v.sent)))
	t.metrics.retries.Add(ctx, int64(len(v.failed)))
	for _, event := range v.sent {
		t.unmarked = append(t.unmarked, event.Ref())
		done[event.Revision] = true
		delete(t.holds, tenant.CanonicalID(event.TenantID))
		t.taken = now
	}
	t.keepLate(ctx, v.late, now, done)
	if err := t.mark(ctx); err != nil {
		return err
	}
	for _, f := range v.invalid {
		if err := t.quarantine(ctx, f, f.event.Attempts+1); err != nil {
			return err
		}
		done[f.event.Revision] = true
	}
	if v.away() {
		t.redis.began(ctx, t.log, "Redis takes no events; they wait in the outbox and are sent when it does", v.failed[0].err)
		return nil
	}
	t.redis.ended(ctx, t.log, "Redis takes events again")
	return t.holdUp(ctx, v.failed, now, done)
}

// mark marks what was sent. What could not be marked is kept in mind, so that it is not sent again all the time while the
// store can be read and not written.
func (t *term) mark(ctx context.Context) error {
	if len(t.unmarked) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := t.cfg.Store.MarkSent(ctx, t.unmarked...); err != nil {
		return fmt.Errorf("mark %d events sent: %w", len(t.unmarked), err)
	}
	t.unmarked = nil
	return nil
}

// beat sends a heartbeat if one is due. One that fails holds up no events; the next is tried sooner.
func (t *term) beat(ctx context.Context, v tenant.Version) error {
	now := time.Now()
	if now.Before(t.beatAt) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatTimeout)
	defer cancel()
	if err := t.cfg.Store.Leading(ctx); err != nil {
		return fmt.Errorf("%w: %w", errDeposed, err)
	}
	err := t.cfg.Publisher.Heartbeat(ctx, t.cfg.Store.Environment(), v)
	t.beatAt = now.Add(redisevents.HeartbeatInterval)
	if err != nil {
		t.beatAt = time.Now().Add(mostWait)
		if t.beating {
			t.log.WarnContext(ctx, "no heartbeat could be sent; trying again", slog.Any("error", err))
		}
	}
	t.beating = err == nil
	return nil
}

func (t *term) untilBeat() time.Duration { return max(0, time.Until(t.beatAt)) }

// resize makes the window larger while nothing that it shows can be sent, and reports whether it did.
func (t *term) resize(stuck bool) bool {
	switch {
	case len(t.holds) == 0 || t.redis.lasts():
		t.window = t.cfg.Batch
	case stuck && t.window < maxWindow:
		t.window = min(2*t.window, maxWindow)
		return true
	}
	return false
}

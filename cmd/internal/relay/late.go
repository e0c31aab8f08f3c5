package relay

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// late are the events that listeners on channels were told of and that the stream has not taken. They wait in the outbox, and
// hold up nothing on the channels. The next relay that leads does not know of them, and announces them once more.
type late struct {
	trouble

	told    map[uint64]bool // their revisions, at most maxWindow
	through uint64          // what waits up to this revision is among them, or was not there when it was looked at
	next    time.Time       // when the stream is tried again
}

// advance moves through up to the first of the pending events that is not late.
func (l *late) advance(pending []store.Event) {
	for _, event := range pending {
		if !l.told[event.Revision] {
			return
		}
		l.through = event.Revision
	}
}

// rests returns for how long there is nothing to do for the stream.
func (l *late) rests() time.Duration {
	if !l.lasts() {
		return time.Hour
	}
	return max(0, time.Until(l.next))
}

// keepLate takes note of the events that are late.
func (t *term) keepLate(ctx context.Context, events []failure, now time.Time, done map[uint64]bool) {
	if len(events) == 0 {
		return
	}
	if !t.late.lasts() {
		t.late.told = map[uint64]bool{}
		t.late.next = time.Now().Add(t.late.retry.next())
	}
	t.late.began(ctx, t.log,
		"Redis announces events and does not take them into the stream; they wait in the outbox and are added when it does", events[0].err)
	for _, f := range events {
		t.late.told[f.event.Revision], done[f.event.Revision] = true, true
		delete(t.holds, tenant.CanonicalID(f.event.TenantID))
		t.taken = now
	}
}

// appendLate adds the oldest late events to the stream, if it is time to try, and reports whether it has got on.
func (t *term) appendLate(ctx context.Context) (bool, error) {
	if t.late.rests() > 0 {
		return false, nil
	}
	batch, all, err := t.lateEvents(ctx)
	if err != nil {
		return false, err
	}
	var v verdict
	if len(batch) > 0 {
		errs, err := t.publish(ctx, batch, t.cfg.Publisher.AppendAll)
		if err != nil {
			return false, err
		}
		v = judge(batch, errs)
	}
	for _, event := range v.sent {
		t.unmarked = append(t.unmarked, event.Ref())
		delete(t.late.told, event.Revision)
	}
	t.metrics.published.Add(ctx, int64(len(v.sent)))
	switch {
	case all && len(v.sent) == len(batch):
		t.late.ended(ctx, t.log, "the stream has all events again")
		t.late = late{}
	case len(v.sent) == 0:
		t.log.DebugContext(ctx, "the stream takes no events still", slog.Int("tried", len(batch)))
		t.late.next = time.Now().Add(t.late.retry.next())
	default:
		t.late.retry.reset()
	}
	return len(v.sent) > 0, t.mark(ctx)
}

// lateEvents returns the oldest late events, no more than fit into a batch, and whether these are all. It goes back for one
// that is not told and waits before them, such as one that had been set aside.
func (t *term) lateEvents(ctx context.Context) (batch []store.Event, all bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	pending, err := t.cfg.Store.PendingAfter(ctx, 0, t.window)
	all = len(pending) < t.window
	for _, event := range pending {
		switch {
		case !t.late.told[event.Revision]:
			t.late.through = min(t.late.through, event.Revision-1)
		case len(batch) == t.cfg.Batch:
			all = false
		default:
			batch = append(batch, event)
		}
	}
	return batch, all, err
}

// patience is how long listeners are left in the belief that nothing is missing while an event waits.
const patience = 2 * time.Second

// sightings are the revisions that there were when the outbox was looked into, oldest first, for as long as it takes to tell
// how long an event has waited. They are by our own clock: that of the store that committed it may be another, or be set.
type sightings struct {
	epoch string
	all   []sighting
}

type sighting struct {
	revision uint64
	at       time.Time
}

// sightEvery bounds how many there are within the patience.
const sightEvery = patience / 20

// add notes the newest revision. Those of an epoch that was left say nothing.
func (s *sightings) add(v tenant.Version, now time.Time) {
	if s.epoch != v.Epoch {
		*s = sightings{epoch: v.Epoch}
	}
	for len(s.all) > 1 && now.Sub(s.all[1].at) > patience { // it says all that the one before it does
		s.all = slices.Delete(s.all, 0, 1)
	}
	last := len(s.all) - 1
	if last >= 0 && (s.all[last].revision >= v.Revision || now.Sub(s.all[last].at) < sightEvery) {
		return
	}
	s.all = append(s.all, sighting{v.Revision, now})
}

// tooLong reports whether the event of that revision was there longer ago than the patience.
func (s *sightings) tooLong(revision uint64, now time.Time) bool {
	for _, one := range s.all {
		if one.revision >= revision {
			return now.Sub(one.at) > patience
		}
	}
	return false
}

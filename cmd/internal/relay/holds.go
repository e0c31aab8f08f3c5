package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/backoff"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// A refused event is tried again less often than one that nobody could take: what refuses it is seldom over in a second.
const (
	firstHold = time.Second
	mostHold  = 30 * time.Second
)

// holds are the tenants, by canonical id, whose next event failed.
type holds map[string]hold

type hold struct {
	since   time.Time     // of the first failure
	before  time.Time     // of the last failure but one; zero after the first
	last    time.Time     // of the last one
	until   time.Time     // when it may be tried again
	wait    time.Duration // the bound of the last wait
	refused bool          // by Redis, the last time
}

// add makes a tenant wait, longer each time, and reports whether it did not wait before.
func (h holds) add(id string, refused bool, now time.Time) bool {
	bounds := backoff.Range{First: firstWait, Most: mostWait}
	if refused {
		bounds = backoff.Range{First: firstHold, Most: mostHold}
	}
	one, held := h[id]
	if !held {
		one.since = now
	}
	one.wait = bounds.Next(one.wait)
	// Half of it at least, or the attempts that an event has would be over in no time.
	one.until = now.Add(one.wait/2 + rand.N(one.wait/2)) //nolint:gosec // jitter is not a secret
	one.refused = refused
	one.before, one.last = one.last, now
	h[id] = one
	return !held
}

func (h holds) waits(id string, now time.Time) bool { return now.Before(h[id].until) }

// next returns how long it is until the first tenant may be tried again, or most if that is sooner. One that might have
// been tried in the pass that began at a time, and was not, has nothing that the pass has seen, and makes no haste.
func (h holds) next(pass, now time.Time, most time.Duration) time.Duration {
	for _, one := range h {
		if one.until.After(pass) {
			most = min(most, max(0, one.until.Sub(now)))
		}
	}
	return most
}

// keep forgets the tenants that have nothing pending: somebody else has sent what they waited for, such as a relay that was
// frozen before it could mark it.
func (h holds) keep(pending []store.Event) {
	if len(h) == 0 {
		return
	}
	there := map[string]bool{}
	for _, event := range pending {
		there[tenant.CanonicalID(event.TenantID)] = true
	}
	maps.DeleteFunc(h, func(id string, _ hold) bool { return !there[id] })
}

func (h holds) refused() int {
	n := 0
	for _, one := range h {
		if one.refused {
			n++
		}
	}
	return n
}

// holdUp makes the tenants wait whose event failed while Redis took those of others, and sets aside what was refused too
// often.
func (t *term) holdUp(ctx context.Context, failed []failure, now time.Time, done map[uint64]bool) error {
	fresh := 0
	for _, f := range failed {
		if t.holds.add(f.tenant, f.refused(), now) {
			fresh++
		}
	}
	if fresh > 0 {
		t.log.WarnContext(ctx, "events could not be sent; later ones of their tenants wait for them",
			slog.Int("tenants", fresh), slog.String("tenant_id", failed[0].event.TenantID), slog.Any("error", failed[0].err))
	}
	for _, f := range failed {
		if !f.refused() || !t.toBlame(f) {
			continue
		}
		if err := t.count(ctx, f, done); err != nil {
			return err
		}
	}
	return nil
}

// toBlame reports whether it is the event that is refused, and not every event, nor its tenant by an ACL: Redis has taken another one since it was
// refused the time before, or since the first time and takes heartbeats still. If none came at all, it takes heartbeats, and
// no other tenant's event is refused.
func (t *term) toBlame(f failure) bool {
	if errors.Is(f.err, redisevents.ErrForbidden) {
		return false // it waits until the ACL is right, however many others pass
	}
	one := t.holds[f.tenant]
	if t.taken.Before(one.since) {
		return t.beating && t.holds.refused() == 1
	}
	return t.beating || t.taken.After(one.before)
}

// count counts a refusal in the store, where it outlives us, and sets the event aside if it was one too many.
func (t *term) count(ctx context.Context, f failure, done map[uint64]bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	attempts, err := t.cfg.Store.MarkFailed(ctx, f.event.Ref(), f.err.Error())
	if err != nil {
		return fmt.Errorf("count a failure of event %d: %w", f.event.Revision, err)
	}
	if attempts < t.cfg.Attempts {
		return nil
	}
	if err := t.quarantine(ctx, f, attempts); err != nil {
		return err
	}
	done[f.event.Revision] = true
	delete(t.holds, f.tenant)
	return nil
}

// quarantine sets an event aside: it is kept and not sent, and those behind it pass.
func (t *term) quarantine(ctx context.Context, f failure, attempts int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := t.cfg.Store.Quarantine(ctx, f.event.Ref(), f.err.Error()); err != nil {
		return fmt.Errorf("set event %d aside: %w", f.event.Revision, err)
	}
	t.log.ErrorContext(ctx, "an event cannot be sent and was set aside: listeners learn of its change only by their next list",
		slog.Uint64("revision", f.event.Revision), slog.String("event_id", f.event.EventID),
		slog.String("event_type", string(f.event.EventType)), slog.String("tenant_id", f.event.TenantID),
		slog.Int("attempts", attempts), slog.Any("error", f.err))
	return nil
}

package discovery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	applyAtOnce = 1024 // signals that are applied, and published, together
	feedRestart = time.Second
	never       = 1 << 62 * time.Nanosecond
)

// HandleEvent applies an event as if the feed had delivered it. It waits until the callbacks for the change have run,
// or until a later change has cancelled this one. Inside a callback HandleEvent does not wait; it recognises the ctx
// that the callback was given. The event does not show that the feed works: where heartbeats are expected, it does not
// make the state [Live].
//
// For an event that cannot be used, HandleEvent returns a [tenant.EventError] and requests a snapshot. When ctx ends
// while callbacks are pending, the error says so; the event has been applied all the same. HandleEvent returns
// [ErrNotStarted] before Start has succeeded. It returns [ErrClosed] after Close, and also when Close is called while
// HandleEvent waits.
func (d *TenantDiscovery) HandleEvent(ctx context.Context, evt tenant.Event) error {
	judged := d.judge(&tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
	var err error
	told := d.updateFor(true, func(now time.Time) {
		if err = d.usable(); err == nil {
			d.core.Handle(now, judged)
		}
	})
	switch {
	case err != nil:
		return err
	case judged.Err() != nil:
		return fmt.Errorf("discovery: handle event: %w", judged.Err())
	case told == nil || ctx.Value(callbackKey{}) == d:
		return nil
	}
	select {
	case <-told:
		return nil
	case <-d.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("discovery: event %q applied, callbacks pending: %w", evt.EventID, ended(ctx))
	}
}

// usable returns why HandleEvent and Refresh cannot be served. mu is held.
func (d *TenantDiscovery) usable() error {
	switch {
	case d.core.Closed():
		return ErrClosed
	case !d.core.Started():
		return ErrNotStarted
	default:
		return nil
	}
}

// follow runs the feed until ctx ends.
func (d *TenantDiscovery) follow(ctx context.Context, r *run) {
	for ctx.Err() == nil {
		err := d.runFeed(ctx, r)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = activeset.ErrFeedEnded
		}
		r.inbox.put(&tenant.Signal{Kind: tenant.SignalLost, Err: enter(err)})
		sleep(ctx, activeset.Dice(d.roll).About(feedRestart))
	}
}

// runFeed is the feed's Run. That it panics, or ends its goroutine, is a lost link and ends nothing else.
func (d *TenantDiscovery) runFeed(ctx context.Context, r *run) (err error) {
	deliver := func(sig tenant.Signal) {
		entered(&sig)
		r.inbox.put(&sig)
	}
	failure := guarded(func() { err = d.feed.Run(ctx, deliver) })
	if failure != nil {
		return fmt.Errorf("the Feed's Run did not return: %w", failure)
	}
	return err
}

// applySignals applies what the feed delivers, until ctx ends.
func (d *TenantDiscovery) applySignals(ctx context.Context, r *run) {
	var judged []activeset.Judged // whose room is used again
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.inbox.wake:
		}
		batches, dropped := r.inbox.drain()
		for _, batch := range batches {
			judged = d.applyBatch(batch, judged, r)
		}
		r.inbox.applied(batches)
		if dropped > 0 {
			d.update(func(now time.Time) {
				if d.run == r {
					d.core.Overflow(now, dropped)
				}
			})
		}
	}
}

// keepTime lets the core see what time it is when something changes because of that, until ctx ends. It has a goroutine of its own: the
// others may wait, for a list or for the Logger.
func (d *TenantDiscovery) keepTime(ctx context.Context, r *run) {
	turn := time.NewTimer(never)
	defer turn.Stop()
	for {
		turn.Reset(d.untilTurn())
		select {
		case <-ctx.Done():
			return
		case <-r.turned:
		case <-turn.C:
			d.update(func(time.Time) {})
		}
	}
}

// untilTurn is how long nobody has to look at the core.
func (d *TenantDiscovery) untilTurn() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turn.IsZero() {
		return never
	}
	return max(time.Until(d.turn), 0)
}

// applyBatch applies signals in their order and publishes once. It returns the room for the next ones.
func (d *TenantDiscovery) applyBatch(batch []tenant.Signal, room []activeset.Judged, r *run) []activeset.Judged {
	judged := room[:0]
	for i := range batch {
		judged = append(judged, d.judge(&batch[i]))
	}
	d.update(func(now time.Time) {
		if d.run != r {
			return // that start has failed, and a new one may be under way
		}
		d.core.Apply(now, judged)
		if slices.ContainsFunc(batch, isLink) {
			r.firstLink() // before anything is logged: Start waits for it
		}
	})
	clear(judged)
	return judged
}

func (d *TenantDiscovery) judge(sig *tenant.Signal) activeset.Judged {
	return activeset.Judge(sig, d.cfg.ServiceName, d.cfg.Environment)
}

// isLink reports whether the signal says that the subscription was made or lost.
func isLink(sig tenant.Signal) bool {
	return sig.Kind == tenant.SignalSubscribed || sig.Kind == tenant.SignalLost
}

// firstLink lets Start go on.
func (r *run) firstLink() {
	select {
	case <-r.linked:
	default:
		close(r.linked)
	}
}

// ended is why ctx has: its error, and the cause where that says more.
func ended(ctx context.Context) error {
	err := ctx.Err()
	if context.Cause(ctx) == err { //nolint:errorlint // there is no other cause
		return err
	}
	cause := enter(context.Cause(ctx))
	if activeset.Known(cause).Ended {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

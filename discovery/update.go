package discovery

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// deciding is the part of the configuration by which the core decides.
func (d *TenantDiscovery) deciding() activeset.Config {
	return activeset.Config{
		Service: d.cfg.ServiceName, Environment: d.cfg.Environment, Place: d.place, Channel: redisevents.HeartbeatChannelName,
		ResyncInterval: d.cfg.ResyncInterval, PollInterval: d.cfg.PollInterval, ResyncSpread: d.cfg.ResyncSpread,
		Guard: activeset.Guard(d.cfg.RemovalGuard), Dice: d.roll, Many: d.many, Slack: d.slack, Changes: d.changes != nil, Names: d.cfg.Names, Least: d.least(),
	}
}

// least is the level of the lines that are wanted.
func (d *TenantDiscovery) least() activeset.Level {
	if d.silent {
		return activeset.None
	}
	return activeset.Debug
}

// roll is the dice of all jitter: those of a test, if there are any.
func (d *TenantDiscovery) roll(most time.Duration) time.Duration {
	if d.dice != nil {
		return d.dice(most)
	}
	return rand.N(most) //nolint:gosec // jitter is not a secret
}

// update lets change work on the core, and then does what that asks for: publishes the set and the status, delivers the news,
// wakes whoever has something to do, and logs. The set and the mailboxes change in one critical section; nothing that could
// wait happens in it.
func (d *TenantDiscovery) update(change func(now time.Time)) { d.updateFor(false, change) }

// updateFor is update for a caller that may wait until the callbacks have dealt with what has changed: told is closed then. It is nil
// where nothing has.
func (d *TenantDiscovery) updateFor(awaited bool, change func(now time.Time)) (told <-chan struct{}) {
	d.mu.Lock()
	now := time.Now()
	change(now)
	next, r := d.core.Next(now), d.run
	unsaved := d.publish(next)
	told = d.deliver(next, awaited)
	boxes := d.withMail(next)
	kick, turned := !next.Due.Equal(d.due), !next.Turn.Equal(d.turn)
	d.due, d.turn = next.Due, next.Turn
	d.mu.Unlock()
	for _, box := range boxes {
		box.ring()
		box.trim()
	}
	if r != nil {
		nudge(r.kick, kick)
		nudge(r.turned, turned)
		nudge(r.save, unsaved)
		nudge(r.worn, next.Rebuild)
	}
	for _, line := range next.Lines {
		d.logOf(next.Set.Len(), slog.Level(line.Level), line.Text, line.Args)
	}
	return told
}

// publish shows the set and the status to those who read. It reports whether there is something new to be saved. mu is held.
func (d *TenantDiscovery) publish(next activeset.Next) (unsaved bool) {
	before := d.status.Load()
	unsaved = !next.Status.LastSnapshot.Equal(before.LastSnapshot)
	if set := next.Set; *d.view.Load() != set { // a copy: what is published keeps nothing else of next
		unsaved = true
		d.view.Store(&set)
	}
	status := statusOf(next.Status)
	d.status.Store(&status)
	d.telemetry.isOf(next.Environment)
	return unsaved
}

// deliver puts the news into the mailboxes. The set has to be published by then: a reader that is at its mailbox already
// waits for no bell. mu is held.
func (d *TenantDiscovery) deliver(next activeset.Next, awaited bool) (told <-chan struct{}) {
	for _, news := range next.News {
		for box := range d.watchers {
			box.put(news)
		}
		switch {
		case !d.callbacks.any.Load(), news.Initial && !d.cfg.NotifyInitial:
		case awaited && news.Wave == nil:
			told = d.box.putAwaited(news)
		default:
			d.box.put(news)
		}
	}
	if next.StateChanged && d.callbacks.any.Load() {
		d.box.putStatus(*d.status.Load())
	}
	return told
}

// withMail returns the mailboxes to ring. mu is held.
func (d *TenantDiscovery) withMail(next activeset.Next) []*mailbox {
	if len(next.News) == 0 && !next.StateChanged {
		return nil
	}
	return append(slices.Collect(maps.Keys(d.watchers)), d.box)
}

// nudge lets the one who waits on a channel of size one look again, where there is something to see.
func nudge(ch chan struct{}, something bool) {
	if !something {
		return
	}
	select {
	case ch <- struct{}{}:
	default: // it will look anyway
	}
}

// log writes a line of the discovery's own.
func (d *TenantDiscovery) log(level slog.Level, text string, args ...any) {
	d.logOf(d.Len(), level, text, args)
}

func (d *TenantDiscovery) logOf(tenants int, level slog.Level, text string, args []any) {
	args = append([]any{"service", d.cfg.ServiceName, "tenant_count", tenants}, args...)
	d.cfg.Logger.Log(context.Background(), level, text, args...)
}

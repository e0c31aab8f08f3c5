package worker

import "time"

// fill starts those that are first in line as long as there is room.
func (p *plan) fill(now time.Time) {
	for !p.stopping && !now.Before(p.ramp) {
		t := p.line.front()
		if t == nil || !p.hasRoom(t) {
			return
		}
		if now.Before(t.quiet) {
			p.reserve(now, t)
		} else {
			p.start(now, t)
		}
	}
}

// hasRoom is for the task that is first in line.
func (p *plan) hasRoom(t *task) bool { return t.holds || p.limit == 0 || p.counted < p.limit }

// reserve is for whose turn comes before all the news of its change has: it has its slot, and its run begins once for the change.
// Passed over, it might never have another turn.
func (p *plan) reserve(now time.Time, t *task) {
	p.hold(t)
	p.move(now, t, Restarting)
	p.schedule(t, t.quiet)
}

func (p *plan) start(now time.Time, t *task) {
	if t.retry {
		t.retry = false
		t.restarts++
		p.restarts++
	}
	p.hold(t)
	p.move(now, t, Running)
	t.first, t.began = false, now
	p.order(order{what: startRun, id: t.id, run: t.canonical})
	if p.rampInterval > 0 {
		p.ramp = later(p.ramp, now.Add(-rampSlack)).Add(p.rampInterval)
	}
}

func (p *plan) hold(t *task) {
	if !t.holds {
		t.holds = true
		p.counted++
	}
}

func (p *plan) release(t *task) {
	if t.holds {
		t.holds = false
		p.counted--
	}
}

func (p *plan) enqueue(now time.Time, t *task) {
	p.move(now, t, Waiting)
	p.line.join(t)
}

// startAgain lets the runs of a tenant begin half of minBackoff apart, whatever happens to it, and once for one change.
func (p *plan) startAgain(now time.Time, t *task) {
	at := t.quiet
	if p.early(now, t) {
		at = later(at, t.began.Add(p.minBackoff/2))
	}
	if !now.Before(at) {
		p.enqueue(now, t)
		return
	}
	p.move(now, t, Restarting)
	p.schedule(t, at)
}

// part forgets a tenant that is gone, once it may be started again at once.
func (p *plan) part(now time.Time, t *task) {
	p.release(t)
	if p.stopping || !p.early(now, t) {
		p.drop(t)
		return
	}
	p.move(now, t, cooling)
	p.schedule(t, t.began.Add(p.minBackoff/2))
}

func (p *plan) early(now time.Time, t *task) bool {
	return !t.began.IsZero() && now.Before(t.began.Add(p.minBackoff/2))
}

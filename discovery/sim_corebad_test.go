package discovery_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// refusal is what a manager answers that lets nobody in, or asks for patience.
type refusal struct {
	status      int
	retryAfter  time.Duration
	least, most time.Duration // until it is asked again
}

func (r refusal) Error() string             { return fmt.Sprint("status ", r.status) }
func (r refusal) HTTPStatus() int           { return r.status }
func (r refusal) RetryDelay() time.Duration { return r.retryAfter }

var refusals = []refusal{
	{status: 401, least: 15 * time.Second, most: 31 * time.Second},
	{status: 403, least: 15 * time.Second, most: 31 * time.Second},
	{status: 500, most: 31 * time.Second},
	{status: 503, retryAfter: 7 * time.Second, least: 7 * time.Second, most: 31 * time.Second},
	{status: 429, retryAfter: 10 * 365 * 24 * time.Hour, least: 5 * time.Minute, most: 5*time.Minute + time.Second},
}

// refuse answers with an error that says when to come again.
func (s *coreSim) refuse(n, _ int) {
	if s.asked == nil {
		return
	}
	r := refusals[n%len(refusals)]
	starting := s.core.Status().State == discovery.Starting
	s.answer(simList{}, r)
	due := s.core.Due() // zero when somebody wants a list at once
	if wait := due.Sub(s.now); !starting && !due.IsZero() && (wait < r.least || wait > r.most) {
		s.fail(fmt.Errorf("after %w with a Retry-After of %v it waits for %v", r, r.retryAfter, wait))
	}
}

// insist lets the manager say n times in a row what is true, even where that looks old beside a forgery.
func (s *coreSim) insist(n int) {
	for range n {
		if s.asked == nil {
			s.ask()
		}
		s.honest()
	}
}

// refresh is somebody who wants a list at once.
func (s *coreSim) refresh() {
	s.core.Want(s.now)
	if due := s.core.Due(); due.After(s.now) {
		s.fail(fmt.Errorf("it is to be asked at once, and is due in %v", due.Sub(s.now)))
	}
}

// malformed hands over an event that cannot be used, which is a gap, or one with a name that is too long to be one.
func (s *coreSim) malformed(how, _ int) {
	evt := tenant.Event{EventType: tenant.EventServiceSuspended, TenantID: s.manager.id(0, 0), Payload: forUs}
	switch how {
	case 0:
		evt.Payload = nil
	case 1:
		evt.Payload = []byte(`{"service_name":7}`)
	case 2:
		evt.TenantID = "-no"
	case 3:
		evt.EventType = ""
	default:
		evt.EventType, evt.Epoch, evt.Revision = tenant.EventUpdated, strings.Repeat("e", tenant.MaxNameBytes+1), 1
	}
	set := setOf(s.core.All())
	s.core.Apply(s.now, tenant.Signal{Kind: tenant.SignalEvent, Event: evt})
	state := s.core.Status().State
	if setOf(s.core.All()) != set || how < 4 && state == discovery.Live {
		s.fail(fmt.Errorf("after a malformed event of form %d: %v, %v", how, state, setOf(s.core.All())))
	}
}

// flood hands over more than can be remembered, which no tenant of ours is in, and ends with a list. It takes long.
func (s *coreSim) flood() {
	if !s.world.Has("flooded") || s.flooded {
		return
	}
	const batch, more = 4096, 4096
	for first := 0; first < activeset.MostSizes().MostBeyond+more; first += batch {
		signals := make([]tenant.Signal, batch)
		for i := range signals {
			n := first + i
			evt := tenant.Event{EventID: fmt.Sprint("flood", n), EventType: tenant.EventSuspended, TenantID: fmt.Sprint("f", n)}
			evt.Epoch, evt.Revision = "flood", uint64(2*n+2)
			if n%64 == 0 {
				evt.Epoch = fmt.Sprint("flood", n%5)
			}
			signals[i] = tenant.Signal{Kind: tenant.SignalEvent, Event: evt}
		}
		s.core.Apply(s.now, signals...)
	}
	s.hearing.hear(s.now, "flood")
	s.forgery.made++
	s.flooded = true
	sizes, most := s.core.Sizes(), activeset.MostSizes()
	if sizes.Marks > most.Marks+2*simTenants || sizes.MostBeyond > most.MostBeyond || sizes.IDs > most.IDs || sizes.Worlds > most.Worlds {
		s.fail(fmt.Errorf("it keeps %+v, and at most %+v is allowed", sizes, most))
	}
}

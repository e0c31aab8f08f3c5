package relay

import (
	"errors"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// verdict is what became of a batch.
type verdict struct {
	sent    []store.Event
	late    []failure // what the channels took and the stream did not
	invalid []failure // what is not an event, and never will be one
	failed  []failure // of each tenant the first that failed
}

type failure struct {
	event  store.Event
	tenant string // its id in canonical form
	err    error
}

// judge sorts the events of a batch by the errors that the publisher returned for them. What comes after a failure of the
// same tenant counts as not sent, whatever its own error is.
func judge(batch []store.Event, errs []error) verdict {
	var v verdict
	stopped := map[string]bool{}
	for i, event := range batch[:len(errs)] { // none where it was not sent
		id, err := tenant.CanonicalID(event.TenantID), errs[i]
		switch {
		case stopped[id]:
		case err == nil:
			v.sent = append(v.sent, event)
		case errors.Is(err, redisevents.ErrNotInStream):
			v.late = append(v.late, failure{event, id, err})
		case errors.Is(err, tenant.ErrInvalidEvent):
			v.invalid = append(v.invalid, failure{event, id, err})
		case errors.Is(err, redisevents.ErrSkipped):
			stopped[id] = true
		default:
			stopped[id] = true
			v.failed = append(v.failed, failure{event, id, err})
		}
	}
	return v
}

// away reports whether the batch failed because Redis is away, or takes nothing at present.
func (v verdict) away() bool {
	if len(v.sent)+len(v.late) > 0 {
		return false
	}
	for _, f := range v.failed {
		if !f.refused() {
			return true
		}
	}
	return false
}

// refused reports whether Redis would not have this event, as far as its answer says.
func (f failure) refused() bool {
	return errors.Is(f.err, redisevents.ErrRefused) && !errors.Is(f.err, redisevents.ErrUnready)
}

// oldest returns the first of the pending events that listeners were not told of.
func oldest(pending []store.Event, told func(revision uint64) bool) (store.Event, bool) {
	for _, event := range pending {
		if !told(event.Revision) {
			return event, true
		}
	}
	return store.Event{}, false
}

// reached returns the newest revision up to which everything is told. pending is what was read from the outbox, full that
// there may be more of it, and newest the newest revision that there was before.
func reached(newest uint64, pending []store.Event, full bool, told func(revision uint64) bool) uint64 {
	if event, there := oldest(pending, told); there {
		return event.Revision - 1
	}
	if len(pending) == 0 {
		return newest
	}
	last := pending[len(pending)-1].Revision
	if full {
		return last
	}
	return max(newest, last)
}

package activeset

import (
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// effect is what an event does to the set of one service.
type effect uint8

const (
	effectNone        effect = iota // nothing
	effectAdd                       // the tenant is active
	effectRemove                    // the tenant is not active
	effectReconfigure               // the tenant stays, what was built for it does not
	effectRecheck                   // the snapshot has to tell, unless the tenant is in the set
	effectUnknown                   // the snapshot has to tell
)

// effects says what each event type does. A type that is not here is unknown.
var effects = map[tenant.EventType]effect{
	tenant.EventServiceAssociated:    effectAdd,
	tenant.EventServiceReactivated:   effectAdd,
	tenant.EventServiceDisassociated: effectRemove,
	tenant.EventServiceSuspended:     effectRemove,
	tenant.EventServicePurged:        effectRemove,
	tenant.EventSuspended:            effectRemove,
	tenant.EventDeleted:              effectRemove,
	tenant.EventCreated:              effectNone,
	tenant.EventUpdated:              effectNone,
	tenant.EventActivated:            effectRecheck,
	tenant.EventCredentialsRotated:   effectReconfigure,
	tenant.EventConnectionsUpdated:   effectReconfigure,
	tenant.EventCacheInvalidate:      effectReconfigure,
}

// outcome is how an event was counted.
type outcome uint8

const (
	outcomeApplied outcome = iota // it had an effect on this service, be it on the set or not
	outcomeIgnored                // its type does nothing
	outcomeOtherService
	outcomeOtherEnvironment
	outcomeUnknown
	outcomeOld // known already, or older than what is known
	outcomeBad
	outcomes // how many there are
)

// verdict is what an event means for this service, worked out before the lock is taken.
type verdict struct {
	effect     effect
	outcome    outcome
	key        string // canonical id
	id         string // the event's spelling
	owned      bool   // both are in memory of their own
	eventID    string
	eventType  tenant.EventType
	version    tenant.Version
	at         time.Time // the event's timestamp; zero when it had none
	env        string
	tenantName string // empty where the event has none
	err        error  // for outcomeBad
}

// read works out what an event means for the service in the environment. v is zero before.
func (v *verdict) read(evt *tenant.Event, service, environment string) {
	v.name(evt, environment)
	if environment != "" && v.env != "" && v.env != environment {
		v.outcome = outcomeOtherEnvironment
		return
	}
	if err := evt.Validate(); err != nil {
		v.bad(err)
		return
	}
	does, known := effects[evt.EventType]
	if !known {
		v.effect, v.outcome = effectUnknown, outcomeUnknown
		return
	}
	if evt.EventType.PerService() {
		name, err := evt.ServiceName()
		if err != nil {
			v.bad(err)
			return
		}
		if name != service {
			v.outcome = outcomeOtherService
			return
		}
	}
	v.effect = does
	if does == effectNone {
		v.outcome = outcomeIgnored
	}
}

// name takes over what the event names, each within its bounds.
func (v *verdict) name(evt *tenant.Event, environment string) {
	v.key, v.id = tenant.CanonicalID(evt.TenantID), evt.TenantID
	v.eventID, v.eventType = short(evt.EventID), evt.EventType
	v.at, v.env, v.tenantName = evt.Timestamp, short(evt.Environment), short(evt.TenantName)
	if short(evt.Epoch) != "" {
		v.version = evt.Version()
	}
	if v.env != "" && v.env != environment {
		v.env = NormalEnvironment(v.env)
	}
}

// short returns a name, or nothing when it is too long for one, as [tenant.ParseEvent] does. An event of HandleEvent or of
// a Feed of the user's own has not been through that, and what is remembered of it must be bounded all the same.
func short(name string) string {
	if len(name) > tenant.MaxNameBytes {
		return ""
	}
	return name
}

// own lets key and id be kept without the text of the event around them. known is the id as it was kept before, if it was.
func (v *verdict) own(known string) {
	if v.owned {
		return
	}
	spelled := v.key == v.id // else the key was made
	if v.id == known {
		v.id = known
	} else {
		v.id = strings.Clone(v.id)
	}
	if v.owned = true; spelled {
		v.key = v.id
	}
}

// versioned reports whether the event says which version it made.
func (v *verdict) versioned() bool { return v.version.Epoch != "" && v.version.Revision > 0 }

// epoch is that of the event's version, and empty where it has none.
func (v *verdict) epoch() string {
	if !v.versioned() {
		return ""
	}
	return v.version.Epoch
}

// revision is zero where the event has no version.
func (v *verdict) revision() uint64 {
	if !v.versioned() {
		return 0
	}
	return v.version.Revision
}

// membership reports whether the event says that its tenant is active, or is not.
func (v *verdict) membership() bool { return v.effect == effectAdd || v.effect == effectRemove }

func (v *verdict) bad(err error) {
	failure := NewFailure(err)
	failure.Err = err
	v.outcome, v.err = outcomeBad, &failure
}

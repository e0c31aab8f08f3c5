package tenant

import "context"

// Feed delivers lifecycle events. The packages of tenantwatch have one over Redis Pub/Sub; whoever has another
// source of events implements this.
type Feed interface {
	// Run subscribes, delivers and, whenever the link breaks, subscribes again with a back-off, until ctx ends.
	// It then lets go of every connection and goroutine of its own and returns. A Run that returns before that is
	// taken as a lost link and is called again.
	//
	// Run calls sink from one goroutine at a time and never after it returned. The sink does not block. Run may not
	// hold events back, merge or reorder them, and it has to tell of every confirmed subscription, also of those
	// that a driver made by itself: what was published before the confirmation has been missed, unless it says otherwise (see
	// Version of [Signal]).
	Run(ctx context.Context, sink func(Signal)) error
}

// EnvironmentFeed is a [Feed] that can be told the environment of the manager's list, where none is configured.
type EnvironmentFeed interface {
	Feed
	// UseEnvironment names the environment whose heartbeats the feed is to listen to. It may be called from any
	// goroutine, before Run and while Run runs, and more than once; it does not block.
	UseEnvironment(name string)
}

// SignalKind says what a [Feed] has to tell.
type SignalKind uint8

// The kinds of a [Signal].
const (
	// SignalSubscribed means that the subscription was confirmed, for the first time or again. What was published
	// before may have been missed, unless Version says that it was not. Err is nil, or says what the subscription lacks, such as
	// heartbeats, although events come by it.
	SignalSubscribed SignalKind = iota + 1
	// SignalEvent brings Event.
	SignalEvent
	// SignalBadEvent means that something arrived that is not an event; Err says why.
	SignalBadEvent
	// SignalHeartbeat brings Version, the manager's newest.
	SignalHeartbeat
	// SignalGap means that events were missed although the link is up; Err says why.
	SignalGap
	// SignalLost means that the subscription is gone, or could not be made; Err says why. It is told once for every
	// attempt that failed.
	SignalLost
)

// String returns the kind in one word.
func (k SignalKind) String() string {
	switch k {
	case SignalSubscribed:
		return "subscribed"
	case SignalEvent:
		return "event"
	case SignalBadEvent:
		return "bad event"
	case SignalHeartbeat:
		return "heartbeat"
	case SignalGap:
		return "gap"
	case SignalLost:
		return "lost"
	default:
		return "unknown"
	}
}

// Signal is one thing that a [Feed] tells its sink. Which fields are set depends on Kind.
type Signal struct {
	Kind  SignalKind
	Event Event
	// Version, with SignalHeartbeat, is the manager's newest. With SignalSubscribed it is a promise: no event after this version
	// will be missing, because the feed goes on where it was. A set that is as far as that asks for no list then. A feed that
	// cannot be sure, as one over Redis, which may lose what it has taken when a replica becomes the master, leaves it zero.
	Version Version
	// Filtered, with SignalSubscribed, says that the feed leaves out events that do not concern the service, so that
	// revisions jump. Such a feed has to bring its events in the order of their revisions, and a heartbeat of it means that
	// all events up to its Version have come.
	Filtered bool
	// Heartbeats, with SignalSubscribed, says that the subscription to the manager's heartbeats is confirmed, so that
	// a manager that sends versions is expected to be heard within 11 s (two of its intervals and a second).
	Heartbeats bool
	Err        error
}

package tenant

import "context"

// Feed delivers lifecycle events. Package redisevents has two: one reads Redis Pub/Sub, the other a Redis Stream.
// Implement Feed for any other source of events.
type Feed interface {
	// Run subscribes and delivers until ctx ends. Whenever the link breaks, Run subscribes again with a back-off. When
	// ctx ends, Run closes its connections, ends its goroutines and returns. If Run returns earlier, the link counts as
	// lost and Run is called again.
	//
	// Run calls sink from one goroutine at a time and never after Run has returned. The sink does not block. Run may
	// not hold events back, merge them or reorder them. Run reports every confirmed subscription, including those that
	// a driver made by itself: the events before a confirmation count as missed, unless the signal says otherwise (see
	// Version of [Signal]).
	Run(ctx context.Context, sink func(Signal)) error
}

// EnvironmentFeed is a [Feed] that can be told the environment of the manager's list. This matters when no environment
// is configured.
type EnvironmentFeed interface {
	Feed
	// UseEnvironment names the environment whose heartbeats the feed is to listen to. It may be called from any
	// goroutine, before Run and while Run runs, and more than once; it does not block.
	UseEnvironment(name string)
}

// SignalKind says what a [Signal] is about.
type SignalKind uint8

// The kinds of a [Signal].
const (
	// SignalSubscribed means that the subscription was confirmed, for the first time or again. Events that were
	// published before it may have been missed, unless Version says otherwise. Err is nil when the subscription is
	// complete. Otherwise events arrive all the same, and Err says what is missing, such as heartbeats.
	SignalSubscribed SignalKind = iota + 1
	// SignalEvent carries an event, in Event.
	SignalEvent
	// SignalBadEvent means that something arrived that is not an event; Err says why.
	SignalBadEvent
	// SignalHeartbeat carries the manager's newest version, in Version.
	SignalHeartbeat
	// SignalGap means that events were missed although the link is up; Err says why.
	SignalGap
	// SignalLost means that the subscription is gone or could not be made; Err says why. Each failed attempt gives one.
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

// Signal is one thing that a [Feed] tells its sink. Kind decides which fields are set.
type Signal struct {
	Kind  SignalKind
	Event Event
	// Version, with SignalHeartbeat, is the manager's newest. With SignalSubscribed it is a promise: no event after
	// this version will be missing, because the feed resumes where it stopped. A set that has reached this version
	// needs no new list. A feed that cannot promise this leaves Version zero. The feeds over Redis do, because Redis
	// may lose data when a replica becomes the master.
	Version Version
	// Filtered, with SignalSubscribed, says that the feed leaves out events that do not concern the service, so that
	// revisions have holes. Such a feed has to deliver its events in the order of their revisions. A heartbeat of such
	// a feed means that all events up to its Version were delivered.
	Filtered bool
	// Heartbeats, with SignalSubscribed, says that the subscription to the manager's heartbeats is confirmed too. A
	// manager that sends versions is then expected to send something within 11 s (two heartbeat intervals and a
	// second).
	Heartbeats bool
	Err        error
}

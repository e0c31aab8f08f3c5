// Package relay is the relay: it takes the events that wait in the store's outbox, publishes them, and marks them sent.
//
// Of all managers that share a database one relays at a time. It reads the pending events in the order of their
// revisions and hands them to the publisher in batches. What was published is marked; what was not stays, and is sent
// again, with the same bytes. So every event is sent at least once. One that is sent twice has the same event_id both
// times.
//
// The events of one tenant are sent in order: one that failed holds up the later ones of its tenant, and of no other.
// This holds for the first time that each is sent. A relay that takes over, after another was killed or lost the lock,
// begins with the oldest event that is not marked, so that it may repeat some.
//
// Channels and the stream are two ways. What the channels take and the stream refuses holds up nothing on the channels; it is
// added to the stream, in the order of its tenant, once that takes it, and only then marked.
//
// While Redis is away the events wait; the store goes on taking changes, and nothing that was not sent is ever deleted. An
// event that is not well formed is set aside at once (quarantined), with an ERROR, and so is one that Redis refused
// several times while it took others.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	relay.go                Config, Run and Wake; leading, and the deleting of old events
//	term.go                 one time of leading: read, send, mark, beat, one pass after the other
//	verdict.go              pure: what became of a batch, and up to which revision nothing waits
//	holds.go                the tenants whose next event failed; whether a refusal is because of the event or of the server, and when an event is set aside
//	late.go                 what the channels took and the stream did not; how long an event waits until heartbeats say so
//	trouble.go, backoff.go  what does not work for a while, and how long to wait
//	metrics.go              OpenTelemetry's metrics
//
// A pass reads the version and then what is pending, leaves out the tenants that have to wait, looks whether the lock is held,
// and publishes; the time for it, two seconds, counts from before the look, so that a process that was frozen in between sends
// nothing. What was sent is marked before anything else. The heartbeat names the revision before the oldest event that nobody
// was told of, and the newest one once that has waited for two seconds. Run is one goroutine, and one more deletes old events;
// both are gone when Run returns.
package relay

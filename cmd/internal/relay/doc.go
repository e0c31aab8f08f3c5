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
package relay

// Package discovery knows the tenants that are active for a service, from boot on and all the time.
//
// A [TenantDiscovery] asks the tenant manager for the list once, follows the lifecycle events that the manager publishes,
// and asks for the list again whenever something may have been missed. Workers iterate over the set, look tenants up in
// it, or are told of changes:
//
//	d, err := discovery.NewTenantDiscovery(discovery.Config{
//		ServiceName: "ledger",
//		TMClient:    tenantClient,
//		RedisConfig: redisevents.Config{Host: "redis", Port: "6379"},
//		Logger:      logger,
//	})
//	if err != nil { … }
//	if err := d.Start(ctx); err != nil { … } // the manager has to answer, Redis need not
//	defer d.Close()
//	for change := range d.Changes(ctx) { … } // the set first, then the news
//
// # What is in the set
//
// A tenant enters and leaves by an event or by a snapshot (the manager's list), never by age. The subscription is
// confirmed before the snapshot is asked for, so that nothing falls into the gap between the two. Where the manager sends
// versions, the newer of an event and a snapshot is told by the revision; without, what events say while a request is
// under way wins over its answer. Every confirmation of a subscription, the first that comes after Start and
// every later one, is taken as a sign that events were missed, and so is an event that
// cannot be read, or whose revision shows that one before it is missing. Each such gap is
// closed by a snapshot whose request began after it, and by nothing else. When nothing at all seems wrong the set is
// still compared with the manager's every ResyncInterval. While Redis is away the manager is polled. A snapshot that
// fails changes nothing; one that would remove most of the set removes nothing, and the next one counts as it is.
//
// # What is ordered
//
// A change is in the set before anybody is told of it. The changes of one tenant are told in order: Added and Removed
// alternate, and Reconfigured comes only in between. Changes of different tenants are told in the order in which the
// tenants first had news, except that the differences which one snapshot shows have no order among them. Two watchers
// are not in step with each other.
//
// # What a slow reader gets
//
// The net change. Between two takes of a reader at most one item per tenant is kept for it, so that its memory is bounded
// by the number of tenants: Added and then Removed is nothing; Removed and then Added is both; Reconfigured after Added is
// Added; Removed after Reconfigured is Removed; of several Reconfigured one is told. The feed never waits for a reader.
//
// # What is not promised
//
// Redis Pub/Sub delivers at most once. A membership change that was missed is found by the next reconcile. A
// Reconfigured that was missed is not: the list does not show it.
//
// # How it is built
//
// What decides is in internal/activeset, and is pure. Here is what goes on around it. The files, in the order in which they
// are read:
//
//	discovery.go, config.go, status.go  the public face
//	place.go         where the events come from, for people
//	listerrors.go, foreignerror.go      errors of ours, and those of code of others, looked at once where they enter
//	mailbox.go       what one watcher has not been told yet, folded per tenant
//	update.go        the one way to change something: the lock, the core, what is to be done after it
//	inbox.go         what waits to be applied
//	events.go        events in: the feed, HandleEvent
//	fetch.go         one request to the TMClient: its time limit, its panics, and one that does not return
//	reconcile.go     snapshots in: bootstrap, the reconcile loop, Refresh
//	callbacks.go, changes.go            the two ways out
//	snapshotfile.go  the last known set on the disk
//	telemetry.go     OpenTelemetry's metrics, mostly read from Status, and a span for each request
//	handler.go       the debug page, and the same as JSON
package discovery

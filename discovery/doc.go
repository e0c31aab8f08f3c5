// Package discovery keeps the set of tenants that are active for a service. Package tenant explains the terms.
//
// At the start a [TenantDiscovery] asks the tenant manager for the list of active tenants. Then it follows the
// lifecycle events that the manager publishes. It asks for the list again whenever it may have missed an event. Workers
// loop over the set, look up tenants in it, or are told of changes:
//
//	d, err := discovery.NewTenantDiscovery(discovery.Config{
//		ServiceName: "ledger",
//		TMClient:    tenantClient,
//		RedisConfig: redisevents.Config{Host: "redis", Port: "6379"},
//		Logger:      logger,
//	})
//	if err != nil { … }
//	if err := d.Start(ctx); err != nil { … } // the manager has to answer; Redis may be down
//	defer d.Close()
//	for change := range d.Changes(ctx) { … } // first every tenant of the set, then every change
//
// # What is in the set
//
// A tenant enters and leaves the set by an event or by a snapshot (the manager's list). Nothing expires.
//
// The subscription is confirmed before the snapshot is requested, so that no event is lost between the two. When an
// event and a snapshot contradict each other, the newer one counts. If the manager sends versions, the revision decides
// which one is newer. If it does not, an event that arrives while a request is under way counts as newer than the answer.
//
// A gap is a time in which events may have been missed. These are signs of a gap: a subscription that is confirmed after
// Start has returned, an event that cannot be read, and an event whose revision shows that an earlier one is missing. Only
// a snapshot whose request began after the gap closes it. To reconcile means to take such a snapshot and to correct the
// set by it. Even when there is no sign of a gap, the discovery reconciles every ResyncInterval. While Redis is down it
// asks for a snapshot every PollInterval.
//
// If the TMClient is a [ChangesFetcher] and the manager has the call, a reconcile asks only for the events since the version
// that the set has. The answer also has the number of tenants and a digest of their ids, so that the discovery knows whether
// these events lead to the manager's list. When they do not, it reads the list and logs a warning. It also reads the list when
// the manager does not keep these events any more, when something other than missed events has made the set doubtful, and at
// least every tenth ResyncInterval.
//
// A request that fails changes nothing. A snapshot that would remove most of the set removes nothing; the next one is
// believed, whatever it removes (see [RemovalGuard]).
//
// # What is ordered
//
// The set changes first, and then the readers are told: the callbacks, and each loop over Changes. The changes of one
// tenant are told in order. Added and Removed alternate, and Reconfigured comes only while the tenant is active, after
// its Added. Changes of different tenants are told in the order in which each tenant's first pending change happened.
// Only the differences that one snapshot shows come in no particular order. One reader may be ahead of another.
//
// # What a slow reader gets
//
// A slow reader gets the net change. While a reader is busy, the pending changes of each tenant are combined, so that
// the memory for it is bounded by the number of tenants: Added and then Removed becomes nothing; Removed and then Added
// stays both; Added and then Reconfigured becomes Added; Reconfigured and then Removed becomes Removed; several
// Reconfigured become one. Events are applied without waiting for any reader.
//
// # What is not promised
//
// Redis Pub/Sub delivers an event at most once. If an event is lost, the next reconcile finds that a tenant has come or
// gone. That a tenant was reconfigured it finds only if it asks for changes, because the list does not show it.
//
// # How it is built
//
// Package internal/activeset makes the decisions; it has no goroutines, no clock and no I/O. This package has
// everything around it. The files, in the order in which they are read:
//
//	discovery.go, config.go, status.go  the public face
//	place.go         where the events come from, for people
//	listerrors.go, foreignerror.go      our own errors; and errors from foreign code, which are read once where they enter
//	mailbox.go       what one reader has not been told yet, combined for each tenant
//	update.go        the one way to change the set: take the lock, ask the core, then tell and log
//	inbox.go         the signals that wait to be applied
//	events.go        events in: the feed, HandleEvent
//	fetch.go         one request to the TMClient: its time limit, its panics, and a request that does not return
//	reconcile.go     snapshots in: bootstrap, the reconcile loop, Refresh
//	callbacks.go, changes.go            the two ways in which readers are told
//	snapshotfile.go  the last known set, in a file
//	telemetry.go     OpenTelemetry's metrics, mostly read from Status, and a span for each request
//	handler.go       the debug page, and the same as JSON
package discovery

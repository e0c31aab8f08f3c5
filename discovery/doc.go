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
package discovery

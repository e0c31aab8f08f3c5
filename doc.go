// Package tenantwatch is the root of a module that tells background workers which tenants are active for their service,
// from the start of the process to its end.
//
// A request handler learns its tenant from the request. A background worker, such as an outbox dispatcher, a queue
// consumer or a nightly job, gets no request: it has to find all tenants itself. A server called the tenant manager
// knows them. It lists the active tenants of a service over REST and announces changes on Redis. Package discovery
// combines the two. The packages are:
//
//   - discovery: TenantDiscovery, the set of active tenants, which stays right through lost events, restarts and
//     outages
//   - worker: one supervised run for each of these tenants, a pass over all of them, or a periodic job
//   - managerapi: the tenant manager's REST API as a Go client
//   - redisevents: reads and publishes lifecycle events, over Redis Pub/Sub and Redis Streams
//   - tenant: the types that all of them share
//   - tenanttest: a tenant manager and a feed in memory that fail on purpose, for tests
//   - cmd/tenantwatch: a binary that shows a demonstration, follows the tenants of a service from a shell, runs a
//     process for each tenant, and can be the tenant manager
//
// The examples of this package are complete programs.
package tenantwatch

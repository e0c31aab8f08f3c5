// Package tenantwatch is the root of a module that lets background workers know which tenants are active for their
// service, from boot on and all the time.
//
// A request handler learns its tenant from the request. A background worker gets no request: an outbox dispatcher, a
// queue consumer or a nightly job has to know all tenants by itself. The truth is with a tenant manager, which lists the
// active tenants of a service over REST and announces changes on Redis. Package discovery joins the two:
//
//   - discovery: TenantDiscovery, the set of active tenants, kept right through lost events, restarts and outages
//   - worker: one supervised run for each of these tenants, a pass over all of them, or a periodic job
//   - managerapi: the tenant manager's REST API as a Go client
//   - redisevents: lifecycle events over Redis Pub/Sub, to read and to publish
//   - tenant: the words that all of them speak
//   - tenanttest: a tenant manager and a feed in memory that fail on purpose, for tests
//   - cmd/tenantwatch: one binary to try it, to follow a service's tenants from a shell, and to run a process for each
//
// The examples of this package are complete programs.
package tenantwatch

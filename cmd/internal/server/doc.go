// Package server is the tenant manager's face: its REST API over a [store.Store], the stream of its events, and what an
// operator looks at.
//
// A [Server] has two handlers. [Server.Handler] is for services and administrators. Every request to it shows a service
// key, which reads what belongs to its service and sees nothing of the others, or a bearer token; whatever is not a GET,
// and everything below /v1/admin, needs the token. A call that does not say what it needs takes the token too.
// [Server.AdminHandler] has metrics and the state of health, no secrets, and belongs on a listener that only operators reach.
//
// [Server.Serve] serves both, with bounds on everything that a client can make large or slow, until its ctx ends. Then
// /readyz fails first, so that load balancers look elsewhere, the streams end, requests under way are finished, and it
// returns.
//
// A request that was answered with success is in the database. Its events are in the outbox at the same moment; who
// publishes them is not known here and is only told by Config.OnChange that there is something new. A change goes on when
// its client has gone away. A change whose answer is lost can be asked for again: what has happened already is 409, which
// clients take as done, and the same tenant created once more is 200.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	calls.go                        the table of all calls: their paths, who may make them, their verbs in the audit
//	document.go                     what the OpenAPI document says beyond the types of the calls
//	guard.go, auth.go, origin.go    what is around every call: a panic, the log line, who asks, from where, and whether they may
//	access.go, lookup.go            what was found of secrets and of the database a moment ago, so that many who ask cost as much as one
//	limiter.go                      the one way in which something is shared that is short
//	lines.go, errorlog.go           few lines of each kind, with a count: of requests, and of what net/http says of connections
//	api.go                          how the calls of the table are served by huma: time-outs, bodies, streams, and the OpenAPI document
//	body.go                         bodies in, and their bounds
//	failure.go                      errors out: what each error of the store is to a client
//	tenants.go, associations.go, admin.go, quarantine.go
//	                                the calls
//	list.go, largelist.go           the list of active tenants, row by row; one that readers do not take
//	changes.go                      what has changed of a list since a version
//	events.go, tail.go              the stream of events; the newest ones in memory, read once for all streams
//	metrics.go, health.go           what operators look at
//	server.go, serve.go             the face, and the listeners from their beginning to their end
//	waitingroom.go                  what the listeners say before there is a server
package server

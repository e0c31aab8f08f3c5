// Package server is the tenant manager's face: its REST API over a [store.Store], the stream of its events, and what an
// operator looks at.
//
// A [Server] has two handlers. [Server.Handler] is for services and administrators. Every request to it shows a service
// key, which reads what belongs to its service and sees nothing of the others, or a bearer token; whatever is not a GET,
// and everything below /v1/admin, needs the token. A call that was forgotten would be refused and not open, because this
// is decided before it is known which call it is. [Server.AdminHandler] has metrics and the state of health, no secrets,
// and belongs on a listener that only operators reach.
//
// [Server.Serve] serves both, with bounds on everything that a client can make large or slow, until its ctx ends. Then
// /readyz fails first, so that load balancers look elsewhere, the streams end, requests under way are finished, and it
// returns.
//
// A request that was answered with success is in the database. Its events are in the outbox at the same moment; who
// publishes them is not known here and is only told by Config.OnChange that there is something new. A change goes on when
// its client has gone away. A change whose answer is lost can be asked for again: what has happened already is 409, which
// clients take as done, and the same tenant created once more is 200.
package server

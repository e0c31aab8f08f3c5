// Package managerapi is the REST API of a tenant manager as Go: its wire types, its errors and a [Client].
//
// A client is made by [NewClient], which touches no network. Every call is bounded by its ctx, retries included, and
// returns errors that errors.Is and errors.As can tell apart: [ErrNotFound], [ErrAccessDenied], [ErrConflict],
// [ErrUnauthorized], [ErrGone], [ErrUnavailable], [ErrInvalidArgument], and [*Error], [*DecodeError],
// [*BodyTooLargeError] with the details.
//
// # What is tried again
//
// GET, PUT and DELETE are tried again after 429, 502, 503, 504 and after a connection that failed or broke, with an
// exponential back-off, full jitter, and never earlier than a Retry-After asks for. POST and PATCH are tried again
// only where the manager cannot have acted: after 429, and when no connection was made. A call that would have to wait
// past the deadline of its ctx returns its last error at once.
//
// A PUT or DELETE whose answer was lost is sent again and then finds its own work done. The suspend and reactivate
// calls answer [ErrConflict] then, the delete calls [ErrNotFound]: take both as done.
//
// # What goes over the wire
//
// The service key goes into X-API-Key on every request, the bearer token on those that write and on those below
// /v1/admin; a client that has only a token sends it with all. Both come from functions that are asked for every
// attempt, so a rotated key works with the next one. They go to the host of the base URL and to no other: redirects are
// not followed but returned as an [*Error]. Outside loopback https is required. Neither shows in an error, even when the
// manager repeats it in its answer.
//
// An answer that is larger than the limit, counted after decompression, is refused with a [*BodyTooLargeError].
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	config.go, client.go                                           the face
//	types.go, other.go, secret.go                                  the wire types; what they have no name for; what does not show in logs
//	errors.go                                                      what a caller can act on
//	tenants.go, associations.go, admin.go, quarantine.go, list.go  the calls
//	exchange.go, retry.go, breaker.go                              one attempt; when another one is made; when none is
//	transport.go                                                   connections, and where secrets may go
//	answer.go, body.go, text.go                                    what is taken of an answer: status, size, and text that is UTF-8
//	rows.go, wirerow.go                                            the rows of a list as they arrive
//	sound.go                                                       errors of code of others
package managerapi

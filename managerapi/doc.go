// Package managerapi is a Go client for the REST API of a tenant manager: the types that go over the wire, the errors, and
// a [Client].
//
// [NewClient] makes a client and sends nothing. Every call ends when its ctx ends, retries included. The errors match
// [ErrNotFound], [ErrAccessDenied], [ErrConflict], [ErrUnauthorized], [ErrGone], [ErrUnavailable] or [ErrInvalidArgument]
// with errors.Is. errors.As finds the details in an [*Error], a [*DecodeError] or a [*BodyTooLargeError].
//
// # Retries
//
// GET, PUT and DELETE are tried again after the statuses 429, 502, 503 and 504, and after a connection failed or broke.
// Between attempts the client waits for a random time whose bound grows exponentially, and never less than a Retry-After
// asks for. POST and PATCH are tried again only when the manager cannot have acted on them: after 429, and when no
// connection was made. When the wait would go past the deadline of ctx, the call returns its last error at once.
//
// When the answer to a PUT or DELETE is lost, the client sends it again and finds that the change was already made. The
// suspend and reactivate calls then return [ErrConflict], the delete calls [ErrNotFound]: treat both as success.
//
// # Keys and tokens
//
// The API key of the service goes into the header X-API-Key of every request. The bearer token goes with requests that
// write and with those below /v1/admin; a client without a key sends the token with all requests. Both come from functions
// that are called for every attempt, so that a rotated key is used from the next attempt on. They are sent only to the
// host of the base URL: the client does not follow redirects but returns them as an [*Error]. Except for loopback
// addresses, https is required. No error contains the key or the token, even when the manager repeats it in its answer.
//
// # Large answers
//
// An answer that is larger than the limit, counted after decompression, is refused with a [*BodyTooLargeError].
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	config.go, client.go                                           the face
//	types.go, other.go, secret.go                                  the wire types; the fields that they have no name for; the values that are hidden in logs
//	errors.go                                                      the errors that a caller can act on
//	tenants.go, associations.go, admin.go, quarantine.go, list.go  the calls
//	changes.go                                                     the call for what has changed since a list
//	exchange.go, retry.go, breaker.go                              one attempt; when it is repeated; when no attempt is made
//	transport.go                                                   connections, and where secrets may go
//	answer.go, body.go, text.go                                    reading an answer: its status, its size, and text that is UTF-8
//	rows.go, wirerow.go, changesbody.go                            the rows of a list, and the events of changes, as they arrive
//	sound.go                                                       errors from foreign code
package managerapi

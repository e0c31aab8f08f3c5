package managerapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What a caller can act on. errors.Is finds them in every error of the client; errors.As finds a [*NotFoundError] in a 404.
var (
	// ErrNotFound is a 404: what was asked for is not there. [NotFoundError] says what that is.
	ErrNotFound = errors.New("not found")
	// ErrAccessDenied is a 403. With a [Error.TenantStatus] it is the tenant that may not be used, because it is
	// suspended or purged; without one it is the key or the token that may not do this.
	ErrAccessDenied = errors.New("access denied")
	// ErrConflict is a 409: the change was made already, or contradicts what is there.
	ErrConflict = errors.New("conflict")
	// ErrGone is a 410: the events that were asked for are no longer kept, or are of another epoch.
	ErrGone = errors.New("gone")
	// ErrUnauthorized is a 401: the manager does not know the key or the token.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnavailable means that the same call may work later: the connection failed or broke, an attempt took too
	// long, the manager answered 429, 502, 503 or 504, or the circuit breaker is open.
	ErrUnavailable = errors.New("tenant manager unavailable")
	// ErrInvalidArgument means that nothing was sent, because a tenant id or a service name cannot be one.
	ErrInvalidArgument = errors.New("invalid argument")
)

// MaxServices is how many names [Error.Services] returns at most.
const MaxServices = 100

// Error is an answer of the manager other than success.
type Error struct {
	// Request is the method and the path, as in "GET /v1/tenants/active".
	Request string
	// StatusCode is the HTTP status.
	StatusCode int
	// Code and Message are what the manager's error body says, shortened. They are empty when it says nothing that can
	// be read. Credentials of the request do not show in them even if the manager repeats them. For a 3xx the message is
	// the client's own.
	Code    string
	Message string
	// TenantStatus is the status of the tenant that a 403 is about, as in "suspended". It is empty in all other cases.
	TenantStatus string
	// RetryAfter is how long the manager asks to be left alone, at most [MaxRetryAfter]. Zero means that it did not say.
	RetryAfter time.Duration

	services string // of Services, separated by line ends, so that an Error can be compared
}

// Services returns names of services that there are, at most [MaxServices], when e is a 404 about an association and the
// request had a token alone: a name that was misspelled is found by them. Else, and for other managers, it is empty.
func (e *Error) Services() []string { return strings.Fields(e.services) }

// Error names the request, the status and what the manager said.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: status %d", e.Request, e.StatusCode)
	if text := http.StatusText(e.StatusCode); text != "" {
		b.WriteString(" " + text)
	}
	for _, part := range []struct{ name, value string }{
		{"code", e.Code}, {"message", e.Message}, {"tenant status", e.TenantStatus},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, ", %s %q", part.name, part.value)
		}
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ", retry after %s", e.RetryAfter)
	}
	return b.String()
}

// Is reports whether target is the sentinel of e's status.
func (e *Error) Is(target error) bool {
	switch e.StatusCode {
	case http.StatusUnauthorized:
		return target == ErrUnauthorized
	case http.StatusForbidden:
		return target == ErrAccessDenied
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusConflict:
		return target == ErrConflict
	case http.StatusGone:
		return target == ErrGone
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return target == ErrUnavailable
	default:
		return false
	}
}

// As lets errors.As find a [*NotFoundError] in a 404.
func (e *Error) As(target any) bool {
	found, wanted := target.(**NotFoundError)
	if !wanted || e.StatusCode != http.StatusNotFound {
		return false
	}
	of, named := strings.CutSuffix(e.Code, "_NOT_FOUND")
	if !named {
		of = ""
	}
	*found = &NotFoundError{Of: strings.ToLower(of), Err: e}
	return true
}

// HTTPStatus returns StatusCode, so that a caller that only knows the error can tell a refused key from a manager that is down.
func (e *Error) HTTPStatus() int { return e.StatusCode }

// RetryDelay returns RetryAfter, so that a caller that only knows the error can wait as long as the manager asked.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// NotFoundError is what errors.As finds in a 404. It matches [ErrNotFound].
type NotFoundError struct {
	// Of is what is not there: "tenant", "association", "service", "key", "token" or "event". It is empty where the answer does not
	// say, as that of a server that is not a tenant manager.
	Of string
	// Err is the answer.
	Err *Error
}

// Error says what Err does.
func (e *NotFoundError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *NotFoundError) Unwrap() error { return e.Err }

// DecodeError means that the manager answered success with a body that is not what the protocol says. Nothing of the
// body shows in it.
type DecodeError struct {
	// Request is the method and the path, as in "GET /v1/tenants/active".
	Request string
	// StatusCode and ContentType are those of the answer. The type may be empty.
	StatusCode  int
	ContentType string
	// Reason says what is wrong.
	Reason string
	// Err is set when the body was cut because the connection broke, and matches [ErrUnavailable] then. Otherwise it
	// is nil.
	Err error
}

// Error names the request, the status, the content type and the reason.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("%s: status %d, content type %.80q: %s", e.Request, e.StatusCode, e.ContentType, e.Reason)
}

// Unwrap returns Err.
func (e *DecodeError) Unwrap() error { return e.Err }

// BodyTooLargeError means that an answer was larger than the client's limit. It was not read further.
type BodyTooLargeError struct {
	// Request is the method and the path, as in "GET /v1/tenants/active".
	Request string
	// Limit is the most bytes that the client takes, counted after decompression.
	Limit int64
}

// Error names the request and the limit.
func (e *BodyTooLargeError) Error() string {
	return fmt.Sprintf("%s: the answer is larger than the limit of %d bytes", e.Request, e.Limit)
}

// unavailableError is a failure to get an answer at all. Its text is free of credentials; the cause's need not be.
type unavailableError struct {
	text  string
	cause error
}

func (e *unavailableError) Error() string { return ErrUnavailable.Error() + ": " + e.text }

// Is reports whether target is [ErrUnavailable].
func (e *unavailableError) Is(target error) bool { return target == ErrUnavailable }

func (e *unavailableError) Unwrap() error { return e.cause }

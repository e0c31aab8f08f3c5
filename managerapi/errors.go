package managerapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The errors that a caller can act on. errors.Is finds them in the errors of the client; errors.As finds a
// [*NotFoundError] in a 404.
var (
	// ErrNotFound is a 404: something that the request names does not exist. [NotFoundError] says what.
	ErrNotFound = errors.New("not found")
	// ErrAccessDenied is a 403. If [Error.TenantStatus] is set, the tenant may not be used, because it is suspended or
	// purged. Otherwise the key or the token does not allow the call.
	ErrAccessDenied = errors.New("access denied")
	// ErrConflict is a 409: the change was made already, or contradicts the current state.
	ErrConflict = errors.New("conflict")
	// ErrGone is a 410: the requested events are no longer kept, or belong to another epoch.
	ErrGone = errors.New("gone")
	// ErrUnauthorized is a 401: the manager does not know the key or the token.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnavailable means that the same call may work later: the connection failed or broke, an attempt took too
	// long, the manager answered 429, 502, 503 or 504, or the circuit breaker is open.
	ErrUnavailable = errors.New("tenant manager unavailable")
	// ErrInvalidArgument means that nothing was sent, because an argument is invalid, such as a tenant id or the name
	// of a service.
	ErrInvalidArgument = errors.New("invalid argument")
)

// MaxServices is how many names [Error.Services] returns at most.
const MaxServices = 100

// Error is an answer of the manager that is not a success.
type Error struct {
	// Request is the method and the path, as in "GET /v1/tenants/active".
	Request string
	// StatusCode is the HTTP status.
	StatusCode int
	// Code and Message come from the body of the answer, shortened. They are empty when the body cannot be read. They
	// never contain the credentials of the request, even if the manager repeats them. For a 3xx the client writes the
	// message.
	Code    string
	Message string
	// TenantStatus is the status of the tenant, such as "suspended", when a 403 is about a tenant. Otherwise it is
	// empty.
	TenantStatus string
	// RetryAfter is how long the manager asks the caller to wait, at most [MaxRetryAfter]. Zero means that the manager
	// did not say.
	RetryAfter time.Duration

	services string // of Services, separated by line ends, so that an Error can be compared
}

// Services returns the names of existing services, at most [MaxServices], so that a caller can find a misspelled name.
// It has names only when e is a 404 about an association and the request had a token but no key. It is always empty for
// managers other than that of tenantwatch.
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

// Is reports whether target is the error for e's status, such as [ErrNotFound] for 404.
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

// HTTPStatus returns StatusCode. With this method a package that does not import managerapi can tell a refused key from
// a manager that is down.
func (e *Error) HTTPStatus() int { return e.StatusCode }

// RetryDelay returns RetryAfter. With this method a package that does not import managerapi can wait as long as the
// manager asked.
func (e *Error) RetryDelay() time.Duration { return e.RetryAfter }

// NotFoundError says what a 404 is about; errors.As finds it. It matches [ErrNotFound].
type NotFoundError struct {
	// Of says what does not exist: "tenant", "association", "service", "key", "token" or "event". It is empty when the
	// answer does not say, for example because the server is not a tenant manager.
	Of string
	// Err is the answer.
	Err *Error
}

// Error returns the text of Err.
func (e *NotFoundError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *NotFoundError) Unwrap() error { return e.Err }

// DecodeError means that the manager answered with success, but that the body does not follow the protocol. The error
// contains nothing of the body.
type DecodeError struct {
	// Request is the method and the path, as in "GET /v1/tenants/active".
	Request string
	// StatusCode and ContentType are those of the answer. ContentType may be empty.
	StatusCode  int
	ContentType string
	// Reason says what is wrong.
	Reason string
	// Err is set when the body is incomplete because the connection broke; it then matches [ErrUnavailable]. Otherwise
	// it is nil.
	Err error
}

// Error names the request, the status, the content type and the reason.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("%s: status %d, content type %.80q: %s", e.Request, e.StatusCode, e.ContentType, e.Reason)
}

// Unwrap returns Err.
func (e *DecodeError) Unwrap() error { return e.Err }

// BodyTooLargeError means that an answer was larger than the client's limit. The rest of the answer was not read.
type BodyTooLargeError struct {
	// Request is the method and the path, as in "GET /v1/tenants/active".
	Request string
	// Limit is the largest number of bytes that the client accepts, counted after decompression.
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

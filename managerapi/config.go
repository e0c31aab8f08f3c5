package managerapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// The defaults of [Config].
const (
	// DefaultTimeout bounds one attempt.
	DefaultTimeout = time.Minute
	// DefaultListLimit is the largest list of active tenants, in bytes: 256 MiB.
	DefaultListLimit = 256 << 20
	// DefaultBodyLimit is the largest other answer, in bytes: 1 MiB.
	DefaultBodyLimit = 1 << 20
	// DefaultRetries is how often a call is tried again.
	DefaultRetries = 6
	// DefaultBackoffBase and DefaultBackoffMax bound the wait before the first and before every later retry.
	DefaultBackoffBase = 200 * time.Millisecond
	DefaultBackoffMax  = 5 * time.Second
	// DefaultUserAgent is the User-Agent header.
	DefaultUserAgent = "tenantwatch"
)

// Config says which manager a [Client] calls, and how. BaseURL is required; every other field has a default.
type Config struct {
	// BaseURL is the address of the manager, such as "https://tenants.example.com". It needs a scheme and a host, may
	// have a path, and may not have a user, a query or a fragment. The scheme has to be https unless the host is
	// localhost or a loopback address, or AllowInsecureHTTP is set. Required.
	BaseURL string
	// APIKey returns the key that is sent with every request. It is called for every attempt, possibly from several
	// goroutines at once, with a ctx that ends with the attempt. White space around the key is removed. When it returns
	// an empty key or an error, the call fails. Nil sends no key. See [StaticKey].
	APIKey func(ctx context.Context) (string, error)
	// BearerToken returns the token that is sent with requests that write and with those below /v1/admin, and, without
	// an APIKey, with all requests. It is called like APIKey. Nil sends no token.
	BearerToken func(ctx context.Context) (string, error)
	// TLS says how the manager's certificate is verified, and which certificate the client presents. It is copied. A
	// minimum version below TLS 1.2 is raised to 1.2. A configuration that skips verification is refused. Nil trusts
	// the roots of the system.
	TLS *tls.Config
	// Transport sends the requests. Nil means that the client makes its own transport. With a Transport, the caller is
	// responsible for TLS, for the time-outs of connections and for closing them. The client still follows no redirect,
	// and still applies Timeout and the limits.
	Transport http.RoundTripper
	// AllowInsecureHTTP lets BaseURL be http for hosts that are not loopback. Keys and tokens then cross the network in
	// clear text.
	AllowInsecureHTTP bool
	// UserAgent is the User-Agent header. Empty means [DefaultUserAgent].
	UserAgent string
	// Timeout bounds one attempt, from the call of APIKey to the last byte of the answer. The time that the callback of
	// FetchSnapshot takes is included. Zero means [DefaultTimeout].
	Timeout time.Duration
	// ListLimit is the largest list of active tenants, and BodyLimit the largest other answer, in bytes after
	// decompression. Zero means [DefaultListLimit] and [DefaultBodyLimit].
	ListLimit, BodyLimit int64
	// Retries is how often a call is tried again after its first attempt. Zero means [DefaultRetries]; a negative
	// number means never.
	Retries int
	// BackoffBase and BackoffMax say how long to wait between attempts: each wait is random, between zero and a bound.
	// The bound starts at BackoffBase, doubles with every retry and stays at BackoffMax. A Retry-After is added to the
	// wait. Zero means [DefaultBackoffBase] and [DefaultBackoffMax]; a BackoffMax of zero means BackoffBase if that is
	// larger than the default.
	BackoffBase, BackoffMax time.Duration
	// CircuitBreaker makes calls fail at once with [ErrUnavailable] for a while after the manager has failed several
	// times in a row. Nil means that there is no circuit breaker.
	CircuitBreaker *CircuitBreaker
}

// StaticKey returns a function for APIKey or BearerToken that always returns key.
func StaticKey(key string) func(ctx context.Context) (string, error) {
	return func(context.Context) (string, error) { return key, nil }
}

// credential gives a key or a token.
type credential func(ctx context.Context) (string, error)

// check returns the BaseURL without a slash at its end, or one error that names every field that is missing or impossible.
func (c *Config) check() (base string, err error) {
	base, urlErr := parseBaseURL(c.BaseURL, c.AllowInsecureHTTP)
	var problems []error
	if urlErr != nil {
		problems = append(problems, fmt.Errorf("the BaseURL: %w", urlErr))
	}
	for _, rule := range []struct {
		holds   bool
		problem string
	}{
		{validHeaderValue(c.UserAgent), "the UserAgent is not the value of a header"},
		{c.Timeout >= 0, "the Timeout is negative"},
		{c.ListLimit >= 0 && c.BodyLimit >= 0, "the ListLimit or the BodyLimit is negative"},
		{c.BackoffBase >= 0 && c.BackoffMax >= 0, "the BackoffBase or the BackoffMax is negative"},
		{c.BackoffMax == 0 || c.BackoffMax >= cmp.Or(c.BackoffBase, DefaultBackoffBase), "the BackoffMax is below the BackoffBase"},
		{c.Transport == nil || c.TLS == nil, "TLS has no effect on a Transport of yours: set one of the two"},
		{c.TLS == nil || verifies(c.TLS), "TLS does not verify the manager's certificate"},
		{c.CircuitBreaker == nil || c.CircuitBreaker.Failures >= 0 && c.CircuitBreaker.OpenFor >= 0, "the CircuitBreaker has a negative setting"},
	} {
		if !rule.holds {
			problems = append(problems, errors.New(rule.problem))
		}
	}
	return base, errors.Join(problems...)
}

func (c *Config) setDefaults() {
	c.UserAgent = cmp.Or(c.UserAgent, DefaultUserAgent)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	c.ListLimit, c.BodyLimit = cmp.Or(c.ListLimit, DefaultListLimit), cmp.Or(c.BodyLimit, DefaultBodyLimit)
	c.Retries = max(0, cmp.Or(c.Retries, DefaultRetries))
	c.BackoffBase = cmp.Or(c.BackoffBase, DefaultBackoffBase)
	c.BackoffMax = cmp.Or(c.BackoffMax, max(DefaultBackoffMax, c.BackoffBase))
}

func verifies(config *tls.Config) bool {
	return !config.InsecureSkipVerify || config.VerifyConnection != nil || config.VerifyPeerCertificate != nil
}

// validHeaderValue reports whether net/http would send s as the value of a header.
func validHeaderValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

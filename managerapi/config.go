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
	// DefaultListLimit is the most bytes of a list of active tenants: 256 MiB.
	DefaultListLimit = 256 << 20
	// DefaultBodyLimit is the most bytes of any other answer: 1 MiB.
	DefaultBodyLimit = 1 << 20
	// DefaultRetries is how often a call is tried again.
	DefaultRetries = 6
	// DefaultBackoffBase and DefaultBackoffMax bound the wait before the first and before every later retry.
	DefaultBackoffBase = 200 * time.Millisecond
	DefaultBackoffMax  = 5 * time.Second
	// DefaultUserAgent is the User-Agent header.
	DefaultUserAgent = "tenantwatch"
)

// Config says which manager is called, and how. BaseURL is required; every other field has a default.
type Config struct {
	// BaseURL is where the manager is, as in "https://tenants.example.com". It needs a scheme and a host, may have a path, and
	// may not have a user, a query or a fragment. It has to be https unless the host is localhost or a loopback address, or
	// AllowInsecureHTTP is set. Required.
	BaseURL string
	// APIKey gives the key that is sent with every request. It is asked for every attempt, maybe from several goroutines at
	// once, with a ctx that ends with the attempt. White space around the key is cut off; an empty key and an error both end the
	// call. Nil sends no key. See [StaticKey].
	APIKey func(ctx context.Context) (string, error)
	// BearerToken gives the token that is sent with every request that writes, with those below /v1/admin, and, without an APIKey,
	// with all others. What is said of APIKey applies. Nil sends no token.
	BearerToken func(ctx context.Context) (string, error)
	// TLS says how the manager's certificate is verified and which certificate of our own is shown. It is copied; versions
	// below TLS 1.2 are raised to it. One that verifies nothing is refused. Nil trusts what the system does.
	TLS *tls.Config
	// Transport sends the requests instead of one that the client makes. What belongs to a transport is then the caller's: TLS,
	// the time-outs of a connection, closing it. The client follows no redirect and keeps to the time-out of an attempt and to
	// the limits all the same.
	Transport http.RoundTripper
	// AllowInsecureHTTP lets BaseURL be http for hosts that are not loopback. Keys and tokens then cross the network in
	// clear text.
	AllowInsecureHTTP bool
	// UserAgent is the User-Agent header. Empty means [DefaultUserAgent].
	UserAgent string
	// Timeout bounds one attempt, from asking for the key to the last byte of the answer; the time that the callback of
	// FetchSnapshot takes counts too. Zero means [DefaultTimeout].
	Timeout time.Duration
	// ListLimit is the most bytes, counted after decompression, that a list of active tenants may have, BodyLimit that of any
	// other answer. Zero means [DefaultListLimit] and [DefaultBodyLimit].
	ListLimit, BodyLimit int64
	// Retries is how often a call is tried again after its first attempt. Zero means [DefaultRetries], less than zero never.
	Retries int
	// BackoffBase and BackoffMax say how long to wait between attempts: each wait is drawn evenly from zero to a bound that starts
	// at the base, doubles with every retry and stays at the maximum. A Retry-After comes on top. Zero means [DefaultBackoffBase]
	// and [DefaultBackoffMax], or the base where that is larger.
	BackoffBase, BackoffMax time.Duration
	// CircuitBreaker lets calls fail at once with [ErrUnavailable] for a while after the manager failed several times in a row.
	// Nil means that there is none.
	CircuitBreaker *CircuitBreaker
}

// StaticKey returns a provider for an APIKey or a BearerToken that always gives key.
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

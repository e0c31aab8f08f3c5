package managerapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// What a client does unless an [Option] says otherwise.
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

// Option changes how a [Client] works.
type Option func(*settings)

// credential gives a key or a token.
type credential func(ctx context.Context) (string, error)

type settings struct {
	apiKey, bearer        credential
	tls                   *tls.Config
	transport             http.RoundTripper
	allowHTTP             bool
	userAgent             string
	timeout               time.Duration
	listLimit, otherLimit int64
	retry                 retryPolicy
	breaker               *CircuitBreaker
	problems              []error
}

// WithAPIKey sends the key that provide returns with every request. provide is asked for every attempt, maybe from
// several goroutines at once, with a ctx that ends with the attempt. White space around the key is cut off; an empty key
// and an error both end the call. Without this option no key is sent.
func WithAPIKey(provide func(ctx context.Context) (string, error)) Option {
	return func(s *settings) {
		s.require(provide != nil, "WithAPIKey: the provider is nil")
		s.apiKey = provide
	}
}

// WithBearerToken sends the token that provide returns with every request that writes, with those below /v1/admin, and,
// in a client without [WithAPIKey], with all others. The rules of [WithAPIKey] apply. Without this option no token is
// sent.
func WithBearerToken(provide func(ctx context.Context) (string, error)) Option {
	return func(s *settings) {
		s.require(provide != nil, "WithBearerToken: the provider is nil")
		s.bearer = provide
	}
}

// StaticKey returns a provider for [WithAPIKey] and [WithBearerToken] that always gives key.
func StaticKey(key string) func(ctx context.Context) (string, error) {
	return func(context.Context) (string, error) { return key, nil }
}

// WithTLSConfig sets how the manager's certificate is verified and which certificate of our own is shown. config is
// copied; versions below TLS 1.2 are raised to it. A config that verifies nothing is refused.
func WithTLSConfig(config *tls.Config) Option {
	return func(s *settings) {
		s.require(config != nil, "WithTLSConfig: the config is nil")
		s.tls = config
	}
}

// WithHTTPTransport sends requests through transport instead of one that the client makes. What belongs to a transport
// is then the caller's: TLS, the time-outs of a connection, closing it. The client itself follows no redirect and
// keeps to the time-out of an attempt and to the body limits all the same.
func WithHTTPTransport(transport http.RoundTripper) Option {
	return func(s *settings) {
		s.require(transport != nil, "WithHTTPTransport: the transport is nil")
		s.transport = transport
	}
}

// WithAllowInsecureHTTP lets the base URL be http for hosts that are not loopback. Keys and tokens then cross the
// network in clear text.
func WithAllowInsecureHTTP() Option {
	return func(s *settings) { s.allowHTTP = true }
}

// WithUserAgent sets the User-Agent header instead of [DefaultUserAgent].
func WithUserAgent(agent string) Option {
	return func(s *settings) {
		s.require(agent != "" && validHeaderValue(agent), "WithUserAgent: not a header value")
		s.userAgent = agent
	}
}

// WithTimeout bounds one attempt, from asking for the key to the last byte of the answer, instead of
// [DefaultTimeout]. The time that the callback of FetchSnapshot takes counts too.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) {
		s.require(timeout > 0, "WithTimeout: the time-out must be positive")
		s.timeout = timeout
	}
}

// WithBodyLimits sets the most bytes, counted after decompression, that an answer may have: list for the list of active
// tenants instead of [DefaultListLimit], other for everything else instead of [DefaultBodyLimit].
func WithBodyLimits(list, other int64) Option {
	return func(s *settings) {
		s.require(list > 0 && other > 0, "WithBodyLimits: a limit must be positive")
		s.listLimit, s.otherLimit = list, other
	}
}

// WithRetries sets how often a call is tried again after its first attempt, instead of [DefaultRetries]. Zero means
// never.
func WithRetries(most int) Option {
	return func(s *settings) {
		s.require(most >= 0, "WithRetries: the number must not be negative")
		s.retry.most = most
	}
}

// WithBackoff sets the waits between attempts: each is drawn evenly from zero to a bound that starts at base, doubles
// with every retry and stays at most, instead of [DefaultBackoffBase] and [DefaultBackoffMax]. A Retry-After comes on
// top.
func WithBackoff(base, most time.Duration) Option {
	return func(s *settings) {
		s.require(base > 0 && most >= base, "WithBackoff: the base must be positive and the maximum not below it")
		s.retry.base, s.retry.ceiling = base, most
	}
}

// WithCircuitBreaker lets calls fail at once with [ErrUnavailable] for a while after the manager failed several times
// in a row. Without this option there is no breaker.
func WithCircuitBreaker(breaker CircuitBreaker) Option {
	return func(s *settings) {
		s.require(breaker.Failures >= 0 && breaker.OpenFor >= 0, "WithCircuitBreaker: a setting is negative")
		s.breaker = &breaker
	}
}

// newSettings applies opts to the defaults and names everything that is wrong with them in one error.
func newSettings(opts []Option) (settings, error) {
	s := settings{
		userAgent:  DefaultUserAgent,
		timeout:    DefaultTimeout,
		listLimit:  DefaultListLimit,
		otherLimit: DefaultBodyLimit,
		retry:      retryPolicy{most: DefaultRetries, base: DefaultBackoffBase, ceiling: DefaultBackoffMax},
	}
	for i, opt := range opts {
		if opt == nil {
			s.problems = append(s.problems, fmt.Errorf("option %d is nil", i))
			continue
		}
		opt(&s)
	}
	s.require(s.transport == nil || s.tls == nil, "WithTLSConfig has no effect on the transport of WithHTTPTransport")
	s.require(s.tls == nil || verifies(s.tls), "WithTLSConfig: the config does not verify the manager's certificate")
	return s, errors.Join(s.problems...)
}

func (s *settings) require(ok bool, problem string) {
	if !ok {
		s.problems = append(s.problems, errors.New(problem))
	}
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

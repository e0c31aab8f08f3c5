package managerapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Client calls one tenant manager. Its methods may be called from any goroutine. It starts no goroutines except those
// of its HTTP transport; see [Client.Close].
type Client struct {
	base      string // scheme, host and path prefix, without a slash at the end
	cfg       Config
	breaker   *breaker // nil if there is none
	transport http.RoundTripper
	closeIdle func()
}

// NewClient checks the configuration and fills in its defaults. It sends nothing. The error names every field that is
// missing or invalid.
func NewClient(cfg Config) (*Client, error) {
	base, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("managerapi: config: %w", err)
	}
	cfg.setDefaults()
	c := &Client{base: base, cfg: cfg, breaker: newBreaker(cfg.CircuitBreaker), transport: cfg.Transport, closeIdle: func() {}}
	if c.transport == nil {
		own := newTransport(cfg.TLS, cfg.Timeout)
		c.transport, c.closeIdle = own, own.CloseIdleConnections
	}
	return c, nil
}

// Close closes the connections that no call is using, so that their goroutines end. It does not end calls that are
// under way; end their ctx for that. A Transport of the [Config] is not closed. Close may be called several times.
func (c *Client) Close() { c.closeIdle() }

// request is one call of the API, however often it is tried.
type request struct {
	op          string // what the caller wanted, for errors
	method      string
	path        string // escaped, with the query
	ifNoneMatch string
	body        []byte
	private     scrubber // what of the body may not show in an error
	limit       int64    // of the answer's body
	withToken   bool     // even where it only reads
	// accept reads a successful answer: any 2xx, or the 304 that ifNoneMatch asked for.
	accept func(*answer) error
	// committed reports that accept handed something out that cannot be taken back. Nil means never.
	committed func() bool
}

// name is the method and the path without the query.
func (r *request) name() string {
	path, _, _ := strings.Cut(r.path, "?")
	return r.method + " " + path
}

// mayRepeat reports whether the request may be sent again after err.
func (r *request) mayRepeat(err error) bool {
	return mayRepeat(r.method, err) && (r.committed == nil || !r.committed())
}

// do tries the request until it succeeds, must not be tried again, or ctx ends.
func (c *Client) do(ctx context.Context, req *request) error {
	if err := checkPath(req.path); err != nil {
		return fmt.Errorf("%s: %w", req.op, err)
	}
	var last error
	for retries := 0; ; retries++ {
		err := c.attempt(ctx, req)
		switch {
		case err == nil:
			return nil
		case last != nil && errors.Is(err, errBreakerOpen):
			return fmt.Errorf("%s: %w (not tried again: %w)", req.op, last, errBreakerOpen)
		case last != nil && ctx.Err() != nil:
			return fmt.Errorf("%s: %w (before that: %w)", req.op, err, last)
		case retries >= c.cfg.Retries || !req.mayRepeat(err):
			return fmt.Errorf("%s: %w", req.op, err)
		}
		last = err
		if err := sleep(ctx, c.cfg.wait(retries, retryAfterOf(last))); err != nil {
			return fmt.Errorf("%s: %w (not tried again: %w)", req.op, last, err)
		}
	}
}

// attempt asks for the credentials and sends the request once. Failing to get credentials is not a failure of the
// manager, so the breaker does not see it.
func (c *Client) attempt(ctx context.Context, req *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	attemptCtx, cancel := context.WithTimeoutCause(ctx, c.cfg.Timeout, errAttemptTimeout)
	defer cancel()
	timedOut := func() bool { return context.Cause(attemptCtx) == errAttemptTimeout } //nolint:errorlint // the cause may be an error of others
	x := &exchange{client: c, req: req, cancel: cancel, timedOut: timedOut}
	httpReq, err := x.build(attemptCtx)
	if err != nil {
		return err
	}
	return guard(c.breaker, func() error { return x.run(ctx, httpReq) })
}

// send makes a request that has a JSON body, or none when in is nil, and whose answer is read into out, or not at all
// when out is nil. It returns the HTTP status.
func (c *Client) send(ctx context.Context, req request, in, out any) (int, error) {
	req.limit = cmp.Or(req.limit, c.cfg.BodyLimit)
	if in != nil {
		if err := checkBody(in); err != nil {
			return 0, fmt.Errorf("%s: %w", req.op, err)
		}
		data, err := json.Marshal(in)
		if err != nil {
			return 0, fmt.Errorf("%s: encode: %w", req.op, err)
		}
		req.body = data
	}
	var status int
	req.accept = func(a *answer) error {
		status = a.status
		if out == nil {
			return nil
		}
		return a.decodeObject(out)
	}
	return status, c.do(ctx, &req)
}

// tenantPath returns the path of a tenant, or of what parts name under it. The parts are escaped already.
func tenantPath(tenantID string, parts ...string) (string, error) {
	if !tenant.ValidID(tenantID) {
		return "", fmt.Errorf("%w: tenant id %.80q", ErrInvalidArgument, tenantID)
	}
	return strings.Join(append([]string{"/v1/tenants", url.PathEscape(tenantID)}, parts...), "/"), nil
}

// associationPath returns the path of the association of a tenant with a service, or of what parts name under it.
func associationPath(tenantID, service string, parts ...string) (string, error) {
	if err := checkService(service); err != nil {
		return "", err
	}
	return tenantPath(tenantID, append([]string{"associations", url.PathEscape(service)}, parts...)...)
}

// checkService refuses what cannot name a service. A dot or two would be taken for a step in the path.
func checkService(service string) error {
	if strings.TrimSpace(service) == "" || service == "." || service == ".." {
		return fmt.Errorf("%w: service name %q", ErrInvalidArgument, service)
	}
	return nil
}

package managerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// drainBytes and drainTime bound what is done to save a connection whose answer is not read to its end.
	drainBytes = 16 << 10
	drainTime  = 250 * time.Millisecond
	// errorBodyLimit and errorBodyTime bound the reading of an error's details. The status is known by then.
	errorBodyLimit = 64 << 10
	errorBodyTime  = 2 * time.Second
)

// errAttemptTimeout ends an attempt; the ctx of the call goes on.
var errAttemptTimeout = errors.New("the attempt took too long")

// exchange is one attempt at a request.
type exchange struct {
	client  *Client
	req     *request
	secrets scrubber
	cancel  context.CancelFunc // ends reading the answer
	// timedOut reports that the attempt ended because of its own time-out.
	timedOut func() bool
}

// build makes the HTTP request, with the credentials of this moment.
func (x *exchange) build(ctx context.Context) (*http.Request, error) {
	req := x.req
	httpReq, err := http.NewRequestWithContext(ctx, req.method, x.client.base+req.path, bytes.NewReader(req.body))
	if err != nil {
		return nil, fmt.Errorf("%s: the request has no valid URL or method", req.name()) // err may repeat all of it
	}
	header := httpReq.Header
	header.Set("Accept", "application/json")
	header.Set("Accept-Encoding", "gzip")
	header.Set("User-Agent", x.client.cfg.UserAgent)
	if len(req.body) > 0 {
		header.Set("Content-Type", "application/json")
	}
	if req.ifNoneMatch != "" {
		header.Set("If-None-Match", req.ifNoneMatch)
	}
	return httpReq, x.authorize(ctx, httpReq)
}

// authorize adds the service key, and the bearer token if the request writes, is one of the admin's, or has no key to
// show who it comes from.
func (x *exchange) authorize(ctx context.Context, httpReq *http.Request) error {
	x.secrets = append(x.secrets, x.req.private...)
	key, err := x.ask(ctx, "api key", x.client.cfg.APIKey)
	if err != nil {
		return err
	}
	if key != "" {
		httpReq.Header.Set(HeaderAPIKey, key)
	}
	if httpReq.Method == http.MethodGet && !x.req.withToken && key != "" {
		return nil
	}
	token, err := x.ask(ctx, "bearer token", x.client.cfg.BearerToken)
	if err != nil {
		return err
	}
	if token != "" {
		httpReq.Header.Set("Authorization", "Bearer "+token)
	}
	return nil
}

// ask returns the credential, or nothing if there is no provider.
func (x *exchange) ask(ctx context.Context, name string, provide credential) (string, error) {
	if provide == nil {
		return "", nil
	}
	secret, err := provide(ctx)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, sound(err))
	}
	secret = strings.TrimSpace(secret)
	if secret == "" {
		return "", fmt.Errorf("%s: the provider gave an empty one", name)
	}
	if !validHeaderValue(secret) {
		return "", fmt.Errorf("%s: it has a character that a header cannot carry", name)
	}
	x.secrets = append(x.secrets, secret)
	return secret, nil
}

// run sends the request and reads the answer. ctx is the caller's. The transport is used without an http.Client, which
// would follow redirects and would put URLs into its errors.
func (x *exchange) run(ctx context.Context, httpReq *http.Request) error {
	resp, err := x.client.transport.RoundTrip(httpReq)
	err = sound(err)
	if err == nil && resp == nil {
		err = errors.New("the transport gave no answer")
	}
	if err != nil {
		return x.broken(ctx, err)
	}
	a := x.newAnswer(resp)
	defer x.finish(resp.Body, a.body)
	success := resp.StatusCode/100 == 2
	notModified := resp.StatusCode == http.StatusNotModified && x.req.ifNoneMatch != ""
	if !success && !notModified {
		return x.readError(a)
	}
	return x.explain(ctx, a, x.req.accept(a))
}

func (x *exchange) newAnswer(resp *http.Response) *answer {
	limit := x.req.limit
	if resp.StatusCode >= http.StatusMultipleChoices {
		limit = min(limit, errorBodyLimit)
	}
	return &answer{
		status:      resp.StatusCode,
		header:      resp.Header,
		contentType: x.secrets.clean(resp.Header.Get("Content-Type")),
		body:        newBody(resp, limit),
	}
}

// finish leaves the connection reusable if that takes next to no time, and closes it otherwise.
func (x *exchange) finish(closer io.Closer, b *body) {
	defer time.AfterFunc(drainTime, x.cancel).Stop()
	b.drain(drainBytes)
	_ = closer.Close() // the answer is read; nothing depends on this any more
}

// explain turns what accept found into the error that says why: the limit and a broken connection look like bad JSON to
// a decoder.
func (x *exchange) explain(ctx context.Context, a *answer, err error) error {
	if err == nil {
		return nil
	}
	if a.body.tooLarge() {
		return &BodyTooLargeError{Request: x.req.name(), Limit: x.req.limit}
	}
	failure := &DecodeError{Request: x.req.name(), StatusCode: a.status, ContentType: a.contentType, Reason: err.Error()}
	if cut := a.body.broken(); cut != nil {
		if ctx.Err() != nil {
			return x.broken(ctx, cut)
		}
		failure.Err = x.unavailable(cut)
		failure.Reason = "the body was cut short: " + failure.Err.Error()
	} else if garbled := a.body.garbled(); garbled != nil {
		failure.Reason = "decompress: " + garbled.Error()
	}
	return failure
}

// broken says that there was no answer, because ctx ended or because of err.
func (x *exchange) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", x.req.name(), ctx.Err())
	}
	return fmt.Errorf("%s: %w", x.req.name(), x.unavailable(err))
}

// unavailable makes an [ErrUnavailable] of what the connection said.
func (x *exchange) unavailable(err error) error {
	if x.timedOut() {
		err = fmt.Errorf("%w (more than %s)", errAttemptTimeout, x.client.cfg.Timeout)
	}
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		err = urlErr.Err // what is around it is the URL, which the name says already
	}
	return &unavailableError{text: x.secrets.clean(err.Error()), cause: err}
}

// readError makes an [Error] of an answer, with as much detail as can be read.
func (x *exchange) readError(a *answer) *Error {
	defer time.AfterFunc(errorBodyTime, x.cancel).Stop()
	e := &Error{
		Request:    x.req.name(),
		StatusCode: a.status,
		RetryAfter: parseRetryAfter(a.header.Get("Retry-After"), time.Now()),
	}
	if a.status == http.StatusNotModified {
		e.Message = "it was not asked whether anything changed"
		return e
	}
	if a.status < http.StatusBadRequest {
		e.Message = "redirects are not followed"
		return e
	}
	var fields map[string]json.RawMessage
	data, err := io.ReadAll(a.body)
	if err != nil || json.Unmarshal(data, &fields) != nil {
		return e // the status says what happened; the details are not for us to read
	}
	text := func(name string) string { return shorten(x.secrets.clean(readString(fields[name]))) }
	e.Code = text("code")
	if e.Message = text("error"); e.Message == "" {
		e.Message = text("detail")
	}
	if a.status == http.StatusForbidden {
		e.TenantStatus = text("status")
	}
	if a.status == http.StatusNotFound {
		e.services = x.readServices(fields["services"])
	}
	return e
}

// readServices takes anything but a list of strings for none.
func (x *exchange) readServices(raw json.RawMessage) string {
	var names []string
	if json.Unmarshal(raw, &names) != nil {
		return ""
	}
	names = names[:min(len(names), MaxServices)]
	for i, name := range names {
		names[i] = shorten(x.secrets.clean(name))
	}
	return strings.Join(names, "\n")
}

// readString returns a JSON string's text, and nothing for any other value.
func readString(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// shorten cuts what a manager says down to what fits into one line of a log.
func shorten(text string) string {
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// scrubber is what may not show in an error.
type scrubber []string

// clean returns text without the secrets.
func (s scrubber) clean(text string) string {
	for _, secret := range s {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	return text
}

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/internal/urlproblem"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// callTimeout bounds one attempt at a call. Whoever waits is a person, or a script of one.
const callTimeout = 30 * time.Second

// managerFlags are what every command has that talks to a running manager.
type managerFlags struct {
	managerTLSFlags

	ManagerURL string `form:"url" help:"The address of the tenant manager." name:"manager-url" placeholder:"URL" setting:"manager"`

	TokenFile string `help:"A file with the token; - means standard input. The variable $$TENANTWATCH_TOKEN can have the token itself." name:"token-file" placeholder:"FILE" predictor:"file" setting:"token"`

	Insecure bool `help:"Allow an http URL for a manager on another machine. The token then crosses the network in clear text." variable:"TENANTWATCH_INSECURE"`

	JSON bool `help:"Print one JSON object per line." name:"json" variable:"TENANTWATCH_JSON"`

	Verbose bool `help:"With an error, also print the request that failed and its answer." short:"v" variable:"TENANTWATCH_VERBOSE"`
}

// session is what a command needs to talk to a manager and to whoever called it.
type session struct {
	*managerapi.Client
	streams

	url     string
	token   keySource
	asJSON  bool
	verbose bool
}

// read runs work that changes nothing against the manager, and says what to do about its error.
func (f *managerFlags) read(ctx context.Context, std streams, work func(context.Context, *session) error) error {
	return f.do(ctx, std, errSilent, work)
}

// change is read for work that changes something.
func (f *managerFlags) change(ctx context.Context, std streams, work func(context.Context, *session) error) error {
	return f.do(ctx, std, &failure{
		err:    errors.New("interrupted: the manager may have done it or not"),
		advice: "Look before you do it again: \"tenantwatch tenant get\" and the lists show what there is.",
	}, work)
}

func (f *managerFlags) do(ctx context.Context, std streams, interrupted error, work func(context.Context, *session) error) error {
	s, err := f.open(os.Getenv, std)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, cancel := whoeverReads(ctx)
	defer cancel()
	err = work(ctx, s)
	if err != nil && ctx.Err() != nil && !errors.Is(err, errNotConfirmed) {
		return interrupted
	}
	return s.explain(err)
}

// whoeverReads returns a ctx that a reader who goes away does not end: what was asked for is done whether somebody reads
// the answer or not, and writing it fails then.
func whoeverReads(ctx context.Context) (context.Context, context.CancelFunc) {
	going, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if !process.BrokenPipe(context.Cause(ctx)) {
			cancel()
		}
	})
	return going, func() {
		stop()
		cancel()
	}
}

func (f *managerFlags) open(env func(string) string, std streams) (*session, error) {
	l := &lookup{getenv: env}
	s := &session{streams: std, asJSON: f.JSON, verbose: f.Verbose, token: l.secret(bearerToken, f.TokenFile, std.in)}
	s.url, _ = l.url(managerAt(), urlproblem.Manager, f.ManagerURL)
	secure := f.resolve(l, s.url)
	const advice = "\"tenantwatch token create --db …\" makes the first token, on the machine of the manager."
	if err := l.fault(advice, "Check the flags --manager-url and --token-file, and the variables TENANTWATCH_URL and TENANTWATCH_TOKEN."); err != nil {
		return nil, err
	}
	client, err := newManagerClient(secure, f.Insecure, "token",
		managerapi.Config{BaseURL: s.url, BearerToken: s.token.provide, Timeout: callTimeout})
	s.Client = client
	return s, err
}

// newManagerClient returns a client for the manager. secret is what would cross a network in clear text. A few retries are enough: whoever waits is a person, and who follows
// asks again anyway.
func newManagerClient(secure *tls.Config, allowed bool, secret string, cfg managerapi.Config) (*managerapi.Client, error) {
	parsed, err := url.Parse(cfg.BaseURL)
	if err == nil && parsed.Scheme == "http" && parsed.Hostname() != "" && !allowed && !isLoopback(parsed.Hostname()) {
		return nil, &usageError{
			text:   "the manager's URL is http, and not on this machine: the " + secret + " would cross the network in clear text",
			advice: "Use https or, where you trust the network, --insecure.",
		}
	}
	cfg.Retries, cfg.TLS, cfg.AllowInsecureHTTP = 3, secure, allowed
	client, err := managerapi.NewClient(cfg)
	if err != nil {
		return nil, &usageError{text: err.Error(), advice: "The manager's URL looks like https://tenants.example.com."}
	}
	return client, nil
}

// explain turns the error of a call into one that says what to do.
func (s *session) explain(err error) error {
	_, usage := errors.AsType[*usageError](err)
	failed, advised := errors.AsType[*failure](err)
	switch {
	case err == nil || usage || errors.Is(err, process.ErrOutput):
		return err
	case advised:
		failed.words = spoken(failed.err, s.verbose)
		return err
	case errors.Is(err, managerapi.ErrInvalidArgument):
		return &usageError{text: err.Error(), advice: "An id is 1 to 256 letters, digits, - and _; a name has something in it besides white space."}
	}
	if _, ok := errors.AsType[*secretError](err); ok {
		return &failure{err: err, advice: s.advice(err), permanent: true}
	}
	return &failure{err: err, words: inWords(s.url, err, s.verbose), advice: s.advice(err), permanent: lastingAnswer(err)}
}

func (s *session) advice(err error) string {
	answer, answered := errors.AsType[*managerapi.Error](err)
	switch {
	case isNoManager(err):
		return "Check the manager's URL: what answers there does not speak like a tenant manager."
	case errors.Is(err, managerapi.ErrUnauthorized):
		return "Check the token in " + s.token.name + ": the manager does not know it, or it was revoked."
	case errors.Is(err, managerapi.ErrAccessDenied) && answer.TenantStatus != "":
		return "The tenant or its association is " + answer.TenantStatus + ": reactivate it first."
	case errors.Is(err, managerapi.ErrAccessDenied):
		return "The token in " + s.token.name + " may not do this."
	case errors.Is(err, managerapi.ErrNotFound):
		return "Check the id and the name: \"tenant list\", \"tenant get\", \"key list\" and \"token list\" show what there is."
	case errors.Is(err, managerapi.ErrConflict):
		return "What is there does not allow it: \"tenant list\", \"tenant get\" and \"key list\" show what there is."
	case answered && answer.StatusCode == http.StatusTooManyRequests:
		return "The tenant manager gets too many requests. Try again later."
	case farManager.connectionAdvice(err) != "":
		return farManager.connectionAdvice(err)
	case errors.Is(err, managerapi.ErrUnavailable):
		return "Check that the tenant manager is running, that its URL is right, and that it has its database."
	case answered:
		return adviceOnStatus(answer.StatusCode)
	default:
		return "Check the manager's URL and the token in " + s.token.name + "."
	}
}

func adviceOnStatus(status int) string {
	if status/100 == 4 { //nolint:mnd // a refusal
		return "The manager does not take this: what it says above names the reason."
	}
	return "Look at the log of the tenant manager."
}

// made tells of something new: its id alone on standard output, so that a shell can take it, and a sentence on standard error.
func (s *session) made(kind string, object any, id, sentence string) error {
	if s.asJSON {
		return s.out.object(kind, time.Now(), object)
	}
	err := s.out.line("%s", shown(id))
	_ = s.err.line("%s: %s", shown(id), sentence)
	return err
}

// done tells of a change.
func (s *session) done(kind string, object any, format string, args ...any) error {
	return s.result(s.asJSON, kind, object, format, args...)
}

// changed makes a call that finds its own work done when it is sent twice: the conflict with one of the codes is success.
// It reports whether there was anything to change.
func changed(err error, doneCode string) (bool, error) {
	answer, answered := errors.AsType[*managerapi.Error](err)
	if answered && errors.Is(err, managerapi.ErrConflict) && answer.Code == doneCode {
		return false, nil
	}
	return err == nil, err
}

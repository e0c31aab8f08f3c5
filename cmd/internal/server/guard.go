package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// note is what a request leaves behind for its log line and its metrics.
type note struct {
	caller  string     // id of the key or the token
	address string     // of the client, as far as proxies that are trusted say it
	request string     // its id
	deed    store.Deed // what it asked for, and what became of it
	code    string     // of the refusal
	cause   error      // of a failure, for the log alone
}

type noteKey struct{}

// noteOf returns the request's note, and one that nobody reads outside of a request.
func noteOf(ctx context.Context) *note {
	if found, ok := ctx.Value(noteKey{}).(*note); ok {
		return found
	}
	return &note{}
}

// failed keeps the first failure; what follows is its consequence.
func (n *note) failed(answer *apiError, cause error) {
	if n.code != "" {
		return
	}
	n.code = answer.Code
	if answer.status >= http.StatusInternalServerError {
		n.cause = cause
	}
}

// observed is around everything else: it turns a panic into a 500, counts the request and logs it if it was refused.
func (s *Server) observed(mux *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		left := &note{address: s.proxies.address(r), request: requestID(r.Header)}
		began, answer := time.Now(), &recorder{ResponseWriter: w}
		w.Header().Set(headerRequestID, left.request)
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, left))
		defer func() {
			broken := answer.rescue(r, recover())
			s.metrics.countRequest(r, routeOf(pattern), answer.status, time.Since(began))
			s.logRequest(r, routeOf(pattern), answer.status, left, time.Since(began))
			if broken {
				panic(http.ErrAbortHandler)
			}
		}()
		harden(w.Header())
		next.ServeHTTP(answer, r)
	})
}

// harden sets what belongs on every answer: none is for a cache that others share.
func harden(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// routeOf is the path of a pattern, for a log line and a metric's label; what clients make up is not a route.
func routeOf(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return "none"
}

// linesEach is how many lines of each kind there are about a caller in a while, before the others are counted.
const linesEach = 10

// logRequest says nothing of the query and of the body. Each change has its line. Of what a caller may bring about at will,
// refusals, failures, answers that it breaks off and readings, the log has a few in a while, and a count.
func (s *Server) logRequest(r *http.Request, route string, status int, left *note, took time.Duration) {
	if route == readyPath {
		return // a balancer asks on; that it is not ready any more, and ready again, is a line each
	}
	one := line{level: slog.LevelInfo, attrs: left.attrs(r, route, status, took)}
	switch d := left.deed; {
	case status >= http.StatusInternalServerError:
		one.level, one.text = slog.LevelError, "request failed"
	case status >= http.StatusBadRequest:
		one.text = "request refused"
	case left.cause != nil:
		one.level, one.text = slog.LevelWarn, "answer broken off"
	case d.Result == "":
		return
	case d.Result == store.ResultRead:
		one.text = "read"
	default:
		one.text = "done"
	}
	if left.deed.Result != "" && left.deed.Result != store.ResultRead { // a change, whatever became of its answer
		s.log.LogAttrs(r.Context(), one.level, one.text, one.attrs...)
		return
	}
	s.lines.say(r.Context(), one.text+" "+left.caller, one)
}

func (n *note) attrs(r *http.Request, route string, status int, took time.Duration) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("method", methodOf(r)), slog.String("route", route), slog.Int("status", status),
		slog.String("took", took.String()), slog.String("remote", n.address),
		slog.String("request_id", n.request),
	}
	if n.code != "" {
		attrs = append(attrs, slog.String("code", n.code))
	}
	if n.caller != "" {
		attrs = append(attrs, slog.String("caller", n.caller))
	}
	if d := n.deed; d.Result != "" {
		attrs = append(attrs, slog.String("actor", d.Actor), slog.String("call", d.Call), slog.String("target", d.Target), slog.String("result", d.Result))
	}
	if n.cause != nil {
		attrs = append(attrs, slog.String("error", n.cause.Error()))
	}
	return attrs
}

// methodOf keeps methods that clients make up out of labels.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return r.Method
	default:
		return "other"
	}
}

// recorder keeps the status of an answer, and whether it has begun. Zero is an answer that has not.
type recorder struct {
	http.ResponseWriter

	status int
}

// WriteHeader keeps the first status.
func (a *recorder) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write begins the answer with a 200 if nothing has.
func (a *recorder) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *recorder) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// rescue answers for a handler that panicked, and reports whether the connection has to be broken instead, because half
// an answer is out.
func (a *recorder) rescue(r *http.Request, panicked any) bool {
	if panicked == nil {
		return false
	}
	begun := a.status != 0
	if err, ok := panicked.(error); ok && err == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
		return true
	}
	cause := fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
	if begun {
		noteOf(r.Context()).failed(explain(cause), cause)
		a.status = http.StatusInternalServerError
		return true
	}
	writeError(a, r, cause)
	return false
}

// guarded lets a request through to its route when it has shown what the route asks for.
func (s *Server) guarded(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		clean := isClean(r.URL.EscapedPath())
		if clean && accessTo(r.Method, pattern) == anybody {
			mux.ServeHTTP(w, r)
			return
		}
		who, err := s.admit(r, pattern)
		if err != nil {
			writeError(w, r, err)
			return
		}
		switch {
		case !clean: // the mux would redirect with a page for people
			writeError(w, r, refuse(http.StatusNotFound, "NOT_FOUND", "there is no such call"))
			return
		case pattern == "":
			writeUnknown(w, r, mux)
			return
		}
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, who)))
	})
}

// isClean reports whether a path is spelled as the mux has it, without parts that are empty or dots.
func isClean(escaped string) bool {
	clean := path.Clean(escaped)
	return clean == escaped || clean+"/" == escaped
}

// admit says who makes a request, if he may.
func (s *Server) admit(r *http.Request, pattern string) (caller, error) {
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.RequestTimeout)
	defer cancel()
	known := s.known(r.Header)
	if known != "" { // before anything is looked up
		noteOf(r.Context()).caller = known
		if _, err := s.limits.rates.try(known); err != nil {
			return caller{}, err
		}
	}
	who, err := s.authorize(ctx, r.Header, accessTo(r.Method, pattern) == byToken)
	if err != nil {
		return caller{}, err
	}
	noteOf(r.Context()).caller = who.id
	if known == "" {
		_, err = s.limits.rates.try(who.id)
	}
	return who, err
}

// known is the id of the key, or of the token where there is none, if it was right when it was looked up last.
func (s *Server) known(h http.Header) string {
	kind, secret := aKey, h.Get(managerapi.HeaderAPIKey)
	if secret == "" {
		kind, secret = aToken, bearer(h)
	}
	if len(secret) > maxSecretBytes {
		return ""
	}
	id, _ := s.faces.of(kind, secret)
	return id
}

// writeUnknown keeps the status and the headers that the mux gives, and gives it the body that errors have.
func writeUnknown(w http.ResponseWriter, r *http.Request, mux *http.ServeMux) {
	handler, _ := mux.Handler(r)
	answer := statusOnly{header: http.Header{}}
	handler.ServeHTTP(&answer, r)
	code := strings.ToUpper(strings.ReplaceAll(http.StatusText(answer.status), " ", "_"))
	refusal := refuse(answer.status, code, "there is no such call")
	if allow := answer.header.Get("Allow"); allow != "" {
		refusal = refusal.with("Allow", allow)
	}
	writeError(w, r, refusal)
}

// statusOnly keeps the header and the status of an answer.
type statusOnly struct {
	header http.Header
	status int
}

// Header is what the mux writes into.
func (s *statusOnly) Header() http.Header { return s.header }

// WriteHeader keeps the status.
func (s *statusOnly) WriteHeader(status int) { s.status = status }

// Write drops the text.
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }

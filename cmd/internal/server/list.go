package server

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// listTimeout is how long one reading of a list may take: as long as it goes on, the database keeps what has changed
	// meanwhile apart for it.
	listTimeout = 5 * time.Minute
	// chunkTimeout is how long a client may take for each chunk of a list, or for an event.
	chunkTimeout = 20 * time.Second
	chunkBytes   = 32 << 10
	// listLevel takes half the time of the usual level for 3 % more bytes of a list; the fastest one is slower at that, and larger.
	listLevel = 2
)

// errHeadOnly ends the reading of a list, before its first row, when the answer has no body.
var errHeadOnly = errors.New("the answer has no body")

type listInput struct {
	Service string `query:"service"        doc:"the name of the service"`
	Have    string `header:"If-None-Match" doc:"an ETag of before"`
}

func describeList(a *api, list call) {
	a.describeAnswer(list, http.StatusOK, "the tenants, oldest first", jsonType, reflect.TypeFor[[]tenant.Summary]())
	a.describeAnswer(list, http.StatusNotModified, "the list is the one of the ETag", "", nil)
	a.describeVersion(list, http.StatusOK)
	a.describeVersion(list, http.StatusNotModified)
	a.describeRequired(list, "service")
}

// serveList sends rows as the database gives them, so that it needs the same memory for one tenant and for a million.
func (s *Server) serveList(w http.ResponseWriter, r *http.Request, in *listInput) error {
	who := callerOf(r.Context())
	if err := checkListed(who, in.Service); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), listTimeout)
	defer cancel()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	late := time.AfterFunc(s.cfg.RequestTimeout, func() { giveUp(context.DeadlineExceeded) })
	defer late.Stop()
	l := &listWriter{
		w: w, environment: s.store.Environment(), head: r.Method == http.MethodHead,
		conditions: r.Header.Values("If-None-Match"), compressed: acceptsGzip(r.Header),
	}
	err := s.readList(ctx, who, in.Service, l, func() error {
		if late.Stop() {
			return nil
		}
		return fmt.Errorf("%w: %w", store.ErrUnavailable, context.DeadlineExceeded) // as long as that can be an answer
	})
	if _, refused := errors.AsType[*apiError](err); err != nil && !refused && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	err = l.finish(err)
	s.warnOfSize(r.Context(), in.Service, l.size)
	return err
}

// readList calls begun when the database has begun to answer, and from then on waits for the client, unless begun returns an error.
func (s *Server) readList(ctx context.Context, who caller, service string, l *listWriter, begun func() error) error {
	if l.head || len(l.conditions) > 0 { // and so, as a rule, no list is read
		v, err := s.listVersion(ctx, who, service)
		if err != nil {
			return err
		}
		if l.head || matches(l.conditions, v.ETag) {
			return l.begin(v)
		}
	}
	done, err := s.limits.lists.take(ctx, who.share())
	if err != nil {
		return err
	}
	defer done()
	return s.store.Active(ctx, service, func(v store.ActiveVersion) error {
		if err := begun(); err != nil {
			return err
		}
		return l.begin(v)
	}, l.row)
}

func (s *Server) listVersion(ctx context.Context, who caller, service string) (store.ActiveVersion, error) {
	done, err := s.limits.reads.take(ctx, who.share())
	if err != nil {
		return store.ActiveVersion{}, err
	}
	defer done()
	return s.store.ActiveVersion(ctx, service)
}

// checkListed refuses another service's list, whether there is such a service or not. An empty list would be an answer, and
// would stop the workers of whoever has the wrong key.
func checkListed(who caller, service string) error {
	switch {
	case strings.TrimSpace(service) == "":
		return refuse(http.StatusBadRequest, "SERVICE_REQUIRED", "the query parameter service is missing")
	case !tenant.ValidName(service):
		return refuse(http.StatusBadRequest, "INVALID_SERVICE", "the query parameter service cannot be a service's name")
	case !who.sees(service):
		return refuse(http.StatusNotFound, "SERVICE_NOT_FOUND", "this key has no such service")
	}
	return nil
}

// listWriter writes a list as JSON, in chunks.
type listWriter struct {
	w           http.ResponseWriter
	environment string // of the list
	head        bool   // the client wants no body
	conditions  []string
	compressed  bool

	out   *bufio.Writer
	zip   *gzip.Writer // nil without compression
	line  []byte       // of the row, for the next one
	began bool         // a row is out
	size  int64        // of the rows and what is between them, uncompressed
}

// begin writes the head of the answer for what is going to be read, and ends the reading when that is all.
func (l *listWriter) begin(v store.ActiveVersion) error {
	header := l.w.Header()
	setVersion(header, v)
	if l.environment != "" {
		header.Set(managerapi.HeaderEnvironment, l.environment)
	}
	if matches(l.conditions, v.ETag) {
		l.w.WriteHeader(http.StatusNotModified)
		return errHeadOnly
	}
	header.Set("Content-Type", jsonType)
	if l.head {
		l.w.WriteHeader(http.StatusOK)
		return errHeadOnly
	}
	var to io.Writer = deadlineWriter{l.w, http.NewResponseController(l.w)}
	if l.compressed {
		header.Set("Content-Encoding", "gzip")
		l.zip, _ = gzip.NewWriterLevel(to, listLevel) // its error would be that there is no such level
		to = l.zip
	}
	l.out = bufio.NewWriterSize(to, chunkBytes)
	return l.out.WriteByte('[')
}

func (l *listWriter) row(row tenant.Summary) error {
	if l.began {
		if err := l.out.WriteByte(','); err != nil {
			return err
		}
	}
	l.began = true
	var err error
	if l.line, err = appendRow(l.line[:0], row); err != nil {
		return fmt.Errorf("write a row: %w", err)
	}
	l.size += int64(len(l.line)) + 1
	_, err = l.out.Write(l.line)
	return err
}

// appendRow is json.Marshal, without its allocations where no text needs an escape.
func appendRow(to []byte, row tenant.Summary) ([]byte, error) {
	if !isPlain(row.ID) || !isPlain(row.Name) || !isPlain(row.Status) {
		data, err := json.Marshal(row)
		return append(to, data...), err
	}
	to = append(append(to, `{"id":"`...), row.ID...)
	to = append(append(to, `","name":"`...), row.Name...)
	to = append(append(to, `","status":"`...), row.Status...)
	return append(to, `"}`...), nil
}

// isPlain reports whether a text is its own JSON, as far as that is told quickly.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

// finish ends the list if the reading did; after an error it is left open, and the connection is broken by whoever gets it.
func (l *listWriter) finish(err error) error {
	if errors.Is(err, errHeadOnly) {
		return nil
	}
	if err != nil {
		l.forget()
		return err
	}
	if err := errors.Join(l.out.WriteByte(']'), l.out.Flush()); err != nil {
		return err
	}
	if l.zip == nil {
		return nil
	}
	return l.zip.Close()
}

// forget takes back what the head would have said, for the error that is written instead where nothing is out yet.
func (l *listWriter) forget() {
	for _, name := range []string{"ETag", managerapi.HeaderEpoch, managerapi.HeaderRevision, managerapi.HeaderEnvironment, "Content-Encoding"} {
		l.w.Header().Del(name)
	}
}

// deadlineWriter gives the client some time for each chunk, and no less for the last than for the first.
type deadlineWriter struct {
	to      io.Writer
	control *http.ResponseController
}

// Write is the one of the answer.
func (d deadlineWriter) Write(p []byte) (int, error) {
	_ = d.control.SetWriteDeadline(time.Now().Add(chunkTimeout)) // a test's recorder has none
	return d.to.Write(p)
}

// setVersion sets what a 200 and a 304 both have.
func setVersion(h http.Header, v store.ActiveVersion) {
	h.Set("ETag", v.ETag)
	h.Set(managerapi.HeaderEpoch, v.Epoch)
	h.Set(managerapi.HeaderRevision, strconv.FormatUint(v.Revision, 10))
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "private, no-cache")
}

// matches compares weakly, as If-None-Match wants.
func matches(conditions []string, etag string) bool {
	return slices.ContainsFunc(conditions, func(condition string) bool {
		for one := range strings.SplitSeq(condition, ",") {
			one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
			if one == etag || one == "*" {
				return true
			}
		}
		return false
	})
}

// acceptsGzip knows q=0, and takes any other weight as a yes.
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, q, weighted := strings.Cut(weight, "=")
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return !weighted || err != nil || value > 0
	}
	return false
}

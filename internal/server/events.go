package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/store"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	eventsPath = "/v1/tenants/events"
	// heartbeatInterval is the protocol's.
	heartbeatInterval = 5 * time.Second
	// eventsPoll is how often a stream looks for changes that another manager made.
	eventsPoll = 500 * time.Millisecond
	// streamsRetry is after how long a client that was one too many may try again.
	streamsRetry = 15 * time.Second
)

type eventsInput struct {
	Service string `query:"service"        doc:"the name of the service"`
	Last    string `header:"Last-Event-ID" doc:"epoch:revision of the last event that is known; none begins now"`
}

func (s *Server) registerEvents(a *api) {
	events := call{method: "GET", path: eventsPath, id: "stream-events", summary: "Follow the events that concern a service", status: http.StatusOK, tag: "events"}
	stream(a, events, s.serveEvents)
	a.describeAnswer(events, http.StatusOK, "Server-Sent Events, and every 5 s one named heartbeat", "text/event-stream", reflect.TypeFor[string]())
	a.describeAnswer(events, http.StatusGone, "the last event is too old or of another epoch: read the list anew", jsonType, reflect.TypeFor[apiError]())
	a.describeRequired(events, "service")
}

// serveEvents sends events until the client goes away, the server ends, or the key is revoked.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request, in *eventsInput) error {
	if err := checkListed(callerOf(r.Context()), in.Service); err != nil {
		return err
	}
	defer s.streams.Add(-1)
	if s.streams.Add(1) > int64(s.cfg.MaxStreams) {
		return refuse(http.StatusServiceUnavailable, "TOO_MANY_STREAMS", "as many follow the events as this manager serves; ask another one, or read the list").
			with("Retry-After", strconv.Itoa(int(streamsRetry.Seconds())))
	}
	feed := &eventStream{s: s, service: in.Service, header: r.Header, out: sseWriter{w, http.NewResponseController(w)}}
	if err := feed.start(r.Context(), in.Last); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy would hold events back
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	s.metrics.countStream(r.Context(), 1)
	defer s.metrics.countStream(context.WithoutCancel(r.Context()), -1)
	return feed.run(r.Context())
}

// heartbeat is how far a stream is.
type heartbeat struct {
	Epoch    string `json:"epoch"`
	Revision uint64 `json:"revision"`
}

// eventStream is one client's place in the events.
type eventStream struct {
	s       *Server
	service string
	header  http.Header // of the request, to see whether its key still holds
	out     sseWriter
	at      tenant.Version
}

// start finds the place to begin at, and refuses one that is gone as long as that can be an answer.
func (e *eventStream) start(ctx context.Context, last string) error {
	ctx, cancel := context.WithTimeout(ctx, e.s.cfg.RequestTimeout)
	defer cancel()
	if last == "" {
		v, err := e.s.store.Version(ctx)
		e.at = tenant.Version{Epoch: v.Epoch, Revision: v.Revision}
		return err
	}
	epoch, number, ok := cutLast(last, ":")
	revision, err := strconv.ParseUint(number, 10, 64)
	if !ok || epoch == "" || err != nil { // the store would take no epoch for any
		return store.ErrGone // whatever it is, it is no event of ours
	}
	e.at = tenant.Version{Epoch: epoch, Revision: revision}
	_, err = e.s.tail.after(ctx, e.at)
	return err
}

// run begins with what is there, then says by a heartbeat how far that is.
func (e *eventStream) run(ctx context.Context) error {
	beat, poll := time.NewTicker(e.s.beat), time.NewTicker(eventsPoll)
	defer beat.Stop()
	defer poll.Stop()
	due := true // a heartbeat
	for {
		news := e.s.tail.news()
		caughtUp, err := e.forward(ctx)
		if err == nil && caughtUp && due {
			due = false
			err = e.heartbeat(ctx)
		}
		if err != nil {
			return endOf(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.s.closing:
			return nil
		case <-beat.C:
			due = true
		case <-poll.C:
		case <-news:
		}
	}
}

// forward sends all that is there. A database that does not answer is asked again later, and there is no heartbeat until
// it does, so that the client can tell.
func (e *eventStream) forward(ctx context.Context) (caughtUp bool, err error) {
	for {
		events, err := e.after(ctx)
		switch {
		case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
			return false, nil
		case err != nil:
			return false, err
		case len(events) == 0:
			return true, nil
		}
		if err := e.send(events); err != nil {
			return false, err
		}
		select {
		case <-e.s.closing:
			return false, nil
		default:
		}
	}
}

func (e *eventStream) after(ctx context.Context) ([]store.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, e.s.cfg.RequestTimeout)
	defer cancel()
	return e.s.tail.after(ctx, e.at)
}

func (e *eventStream) send(events []store.Event) error {
	for _, event := range events {
		e.at.Revision = event.Revision
		if !concerns(event.Event, e.service) {
			continue
		}
		if err := e.out.event("", e.at, event.Data); err != nil {
			return err
		}
	}
	return e.out.flush()
}

// heartbeat tells how far the stream is. It has an id too, so that a client whose service has been quiet for long resumes
// where it is and not where its last event was.
func (e *eventStream) heartbeat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.s.cfg.RequestTimeout)
	defer cancel()
	if _, err := e.s.authorize(ctx, e.header, false); err != nil && !isUnavailable(err) {
		return err
	}
	data, err := json.Marshal(heartbeat{e.at.Epoch, e.at.Revision})
	if err != nil {
		return err
	}
	return errors.Join(e.out.event("heartbeat", e.at, data), e.out.flush())
}

// concerns follows the table of events: those of a service are for that service, the others for all. What has a service
// that cannot be read is for all, because whoever reads it has to see that it is damaged.
func concerns(event tenant.Event, service string) bool {
	switch event.EventType {
	case tenant.EventCreated, tenant.EventUpdated, tenant.EventActivated, tenant.EventSuspended, tenant.EventDeleted:
		return true
	default:
		named, err := event.ServiceName()
		return err != nil || named == service
	}
}

// endOf keeps the end of a stream that began from being an error: the client sees it, and comes again.
func endOf(ctx context.Context, err error) error {
	noteOf(ctx).cause = err
	return nil
}

// sseWriter writes Server-Sent Events.
type sseWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// event writes one. An empty name is the default one.
func (s sseWriter) event(name string, id tenant.Version, data []byte) error {
	var frame bytes.Buffer
	frame.WriteString("id: " + id.String() + "\n")
	if name != "" {
		frame.WriteString("event: " + name + "\n")
	}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		frame.WriteString("data: ")
		frame.Write(line)
		frame.WriteByte('\n')
	}
	frame.WriteByte('\n')
	_ = s.control.SetWriteDeadline(time.Now().Add(chunkTimeout)) // a test's recorder has none
	_, err := s.w.Write(frame.Bytes())
	return err
}

func (s sseWriter) flush() error { return s.control.Flush() }

// cutLast is strings.Cut at the last sep.
func cutLast(text, sep string) (before, after string, found bool) {
	at := strings.LastIndex(text, sep)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(sep):], true
}

func isUnavailable(err error) bool {
	return explain(err).status == http.StatusServiceUnavailable
}

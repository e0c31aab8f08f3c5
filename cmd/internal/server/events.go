package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	eventsPath = "/v1/tenants/events"
	// heartbeatInterval is the protocol's.
	heartbeatInterval = 5 * time.Second
	// eventsRetry is how often a stream tries again what the database did not answer.
	eventsRetry = 500 * time.Millisecond
)

type eventsInput struct {
	Service string `query:"service"        doc:"the name of the service"`
	Last    string `header:"Last-Event-ID" doc:"epoch:revision of the last event that is known; none begins now"`
}

func describeEvents(a *api, events call) {
	a.describeAnswer(events, http.StatusOK, "Server-Sent Events, and every 5 s one named heartbeat", "text/event-stream", reflect.TypeFor[string]())
	a.describeAnswer(events, http.StatusGone, "the last event is too old or of another epoch: read the list again", jsonType, reflect.TypeFor[apiError]())
	a.describeRequired(events, "service")
}

// serveEvents sends events until the client goes away, the server ends, or the key is revoked.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request, in *eventsInput) error {
	if err := checkListed(callerOf(r.Context()), in.Service); err != nil {
		return err
	}
	who := callerOf(r.Context())
	done, err := s.limits.streams.try(who.share())
	if err != nil {
		return err
	}
	defer done()
	shown, leave := s.shown.join(r.Header)
	defer leave()
	topic, depart := s.tail.join(in.Service)
	defer depart()
	feed := &eventStream{
		s: s, service: in.Service, topic: topic, share: who.share(), byKey: who.service != "", shown: shown, looked: time.Now(), out: sseWriter{w, http.NewResponseController(w)},
	}
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

// eventStream is one client's place in the events.
type eventStream struct {
	s       *Server
	service string
	topic   *topic
	share   string    // whose places it takes
	byKey   bool      // and not by a token alone
	shown   *shown    // with the request
	looked  time.Time // when that still held
	out     sseWriter
	at      tenant.Version
}

// start finds the place to begin at, and refuses one that is gone as long as that can be an answer.
func (e *eventStream) start(ctx context.Context, last string) error {
	ctx, cancel := context.WithTimeout(ctx, e.s.cfg.RequestTimeout)
	defer cancel()
	newest, err := e.s.tail.now(ctx) // one reading for all, also for those that resume
	if last == "" || err != nil {
		e.at = newest
		return err
	}
	epoch, number, ok := cutLast(last, ":")
	revision, err := strconv.ParseUint(number, 10, 64)
	if !ok || epoch == "" || err != nil { // the store would take no epoch for any
		return store.ErrGone // whatever it is, it is not an event of ours
	}
	e.at = tenant.Version{Epoch: epoch, Revision: revision}
	events, err := e.read(ctx)
	if err == nil && slices.ContainsFunc(events, e.hides) {
		return store.ErrGone
	}
	return err
}

// run begins with what is there, then says by a heartbeat how far that is.
func (e *eventStream) run(ctx context.Context) error {
	beat, again := time.NewTicker(e.s.beat), time.NewTimer(eventsRetry)
	defer beat.Stop()
	defer again.Stop()
	due := true // a heartbeat
	for {
		news := e.s.tail.news(e.topic)
		caughtUp, err := e.forward(ctx)
		if err == nil && caughtUp && due {
			due = false
			err = e.heartbeat()
		}
		if err != nil {
			return endOf(ctx, err)
		}
		again.Reset(e.next(caughtUp))
		select {
		case <-ctx.Done():
			return nil
		case <-e.s.closing:
			return nil
		case <-beat.C:
			due = true
		case <-again.C:
		case <-news:
		}
	}
}

// next is how long it may do nothing when nothing happens: until it has to look whether what the client has shown still holds.
func (e *eventStream) next(caughtUp bool) time.Duration {
	if !caughtUp {
		return eventsRetry
	}
	return max(e.s.recheck, eventsRetry) - time.Since(e.looked)
}

// forward sends all that is there. A database that does not answer is asked again later, and there is no heartbeat until
// it does, so that the client can tell; no event either, because nobody knows whether the key still holds.
func (e *eventStream) forward(ctx context.Context) (caughtUp bool, err error) {
	for {
		events, err := e.after(ctx)
		if err == nil && len(events) > 0 {
			err = e.send(ctx, events)
		}
		switch {
		case err != nil && isUnavailable(err):
			return false, nil
		case err != nil:
			return false, err
		case len(events) == 0:
			return e.s.tail.soundly(), nil
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
	if err := e.permitted(ctx); err != nil {
		return nil, err
	}
	return e.read(ctx)
}

// read takes a place for what is not in memory any more, so that streams which were away for long wait for each other, service
// by service, and for nobody else.
func (e *eventStream) read(ctx context.Context) ([]store.Event, error) {
	events, upTo, kept := e.s.tail.after(e.at, e.topic)
	if kept {
		e.at = upTo
		return events, nil
	}
	done, err := e.s.limits.catchUp.take(ctx, e.share)
	if err != nil {
		return nil, err
	}
	defer done()
	began := time.Now()
	events, _, err = e.s.store.EventsAfter(ctx, e.at, tailBatch)
	if err == nil {
		e.rest(ctx, min(catchUpRest*time.Since(began), mostRest))
	}
	return events, err
}

// A reading keeps its place for catchUpRest times as long as it took, but not for longer than mostRest: streams that were away for
// long come back more slowly, and those that were not do not feel it. What makes a reading slow is, beyond that, not the processor.
const (
	catchUpRest = 3
	mostRest    = 50 * time.Millisecond
)

func (e *eventStream) rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-e.s.closing:
	case <-timer.C:
	}
}

// permitted looks from time to time whether what the client has shown still holds, however busy the stream is.
func (e *eventStream) permitted(ctx context.Context) error {
	if time.Since(e.looked) < e.s.recheck {
		return nil
	}
	if err := e.s.holds(ctx, e.shown); err != nil {
		return err
	}
	e.looked = time.Now()
	return nil
}

// send may take long with a client that is slow, and so looks at the key before each event.
func (e *eventStream) send(ctx context.Context, events []store.Event) error {
	for _, event := range events {
		if err := e.permitted(ctx); err != nil {
			return errors.Join(err, e.out.flush())
		}
		if e.hides(event) { // whoever comes again with what was sent so far is told to read the list
			return errors.Join(store.ErrGone, e.out.flush())
		}
		if concerns(event, e.service) {
			if err := e.out.event("", tenant.Version{Epoch: e.at.Epoch, Revision: event.Revision}, event.Data); err != nil {
				return err
			}
		}
		e.at.Revision = event.Revision
	}
	return e.out.flush()
}

// heartbeat tells how far the stream is. It has an id too, so that a client whose service has been quiet for long resumes
// where it is and not where its last event was.
func (e *eventStream) heartbeat() error {
	data, err := json.Marshal(tenant.Heartbeat{Epoch: e.at.Epoch, Revision: e.at.Revision})
	if err != nil {
		return err
	}
	return errors.Join(e.out.event("heartbeat", e.at, data), e.out.flush())
}

// concerns follows the table of events: those of a service are for that service, the others for those whose tenant it is or
// was. What has a service that cannot be read is for these too, because whoever reads it has to see that it is damaged. What was
// stored before anybody noted whose it is concerns all; who may see it, hides says.
func concerns(event store.Event, service string) bool {
	if event.EventType.PerService() || !event.EventType.Known() {
		if named, err := event.ServiceName(); err == nil {
			return named == service
		}
	}
	return event.Services == nil || slices.Contains(event.Services, service)
}

// hides reports whether nobody knows if a key may see the event, one from before it was noted whose tenant it is of. To leave it
// out would be to say with the next heartbeat that it was not there, so the stream does not go past it.
func (e *eventStream) hides(event store.Event) bool {
	_, err := event.ServiceName()
	return e.byKey && event.Services == nil && err != nil
}

// catchUpAtOnce leaves a processor to those that have nothing to catch up with.
func catchUpAtOnce() int { return max(1, runtime.GOMAXPROCS(0)/2) } //nolint:mnd // a half

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

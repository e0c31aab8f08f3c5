package server

import (
	"bufio"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const ledgerEvents = "/v1/tenants/events?service=ledger"

// frame is one Server-Sent Event.
type frame struct{ name, id, data string }

// follower reads a stream.
type follower struct {
	status int
	body   string // of an answer that is not a stream
	frames chan frame
	stop   func()
}

// follow opens a stream. last is the Last-Event-ID, or nothing.
func (h *served) follow(t *testing.T, path, last string, change ...func(http.Header)) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req := h.request(t, "GET", h.url+path, "", append(change, without("Authorization"))...).WithContext(ctx)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{status: resp.StatusCode, frames: make(chan frame, 1000), stop: cancel}
	lines := bufio.NewScanner(resp.Body)
	if f.status != http.StatusOK {
		lines.Scan()
		f.body = lines.Text()
		_ = resp.Body.Close() // it has been read
		cancel()
		return f
	}
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(f.frames)
		readFrames(lines, f.frames)
	}()
	t.Cleanup(func() {
		cancel()
		_ = resp.Body.Close() // cut off
		<-done
	})
	return f
}

func readFrames(lines *bufio.Scanner, into chan<- frame) {
	var f frame
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			f.id = value
		case "event":
			f.name = value
		case "data":
			f.data += value
		case "":
			into <- f
			f = frame{}
		}
	}
}

// next returns the next frame; ok is false at the end of the stream.
func (f *follower) next(t *testing.T) (got frame, ok bool) {
	t.Helper()
	select {
	case got, ok = <-f.frames:
		return got, ok
	case <-time.After(patience):
		t.Fatal("nothing comes from the stream")
		return frame{}, false
	}
}

// nextOf returns the next frame of that name, "" for events.
func (f *follower) nextOf(t *testing.T, name string) frame {
	t.Helper()
	for {
		got, ok := f.next(t)
		if !ok {
			t.Fatal("the stream ended")
		}
		if got.name == name {
			return got
		}
	}
}

// untilEnd reads until the stream ends.
func (f *follower) untilEnd(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, ok := f.next(t); !ok {
			return
		}
	}
	t.Fatal("the stream does not end")
}

func TestEventsAreStreamedAsTheyHappen(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	f := h.follow(t, ledgerEvents, "")
	epoch := versionOf(t, h).Epoch
	beat := f.nextOf(t, "heartbeat")
	if beat.id != epoch+":2" || beat.data != `{"epoch":"`+epoch+`","revision":2}` {
		t.Errorf("the first frame is %+v, want a heartbeat at revision 2", beat)
	}
	h.want(t, 204, "PUT", "/v1/tenants/"+id+"/suspend", "")
	h.want(t, 204, "DELETE", "/v1/tenants/"+id, "")
	for i, want := range []tenant.EventType{tenant.EventSuspended, tenant.EventDeleted} {
		got := f.nextOf(t, "")
		evt, err := tenant.ParseEvent([]byte(got.data))
		if err != nil || evt.EventType != want || got.id != epoch+":"+strconv.Itoa(3+i) || evt.Version().String() != got.id {
			t.Errorf("frame %+v, want %s at revision %d (%v)", got, want, 3+i, err)
		}
	}
}

// TestEventsResume: what came in between is sent first, in the bytes that it was stored with, and without what is another
// service's.
func TestEventsResume(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme") // revisions 1 and 2
	h.want(t, 201, "POST", "/v1/tenants/"+id+"/associations/payments", `{}`)
	h.want(t, 200, "PATCH", "/v1/tenants/"+id, `{"name":"Acme 2"}`)
	h.want(t, 202, "POST", "/v1/tenants/"+id+"/associations/payments/credentials/rotate", "")
	h.want(t, 204, "PUT", "/v1/tenants/"+id+"/associations/ledger/suspend", "")
	stored, _, err := h.store.EventsAfter(t.Context(), tenant.Version{}, 100)
	if err != nil || len(stored) != 6 {
		t.Fatalf("%d events, %v", len(stored), err)
	}
	epoch := versionOf(t, h).Epoch
	f := h.follow(t, ledgerEvents, epoch+":1")
	for _, revision := range []int{2, 4, 6} {
		got, _ := f.next(t)
		if want := (frame{"", epoch + ":" + strconv.Itoa(revision), string(stored[revision-1].Data)}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if got, _ := f.next(t); got.name != "heartbeat" || got.id != epoch+":6" {
		t.Errorf("after the backlog comes %+v, want a heartbeat", got)
	}
}

func TestEventsThatAreGone(t *testing.T) {
	h := start(t)
	h.tenant(t, "Acme")
	epoch := versionOf(t, h).Epoch
	stored, err := h.store.Pending(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.store.MarkSent(t.Context(), stored[0].Ref()); err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for last, want := range map[string]int{
		epoch + ":1": 200, epoch + ":2": 200, epoch + ":0": 410, epoch + ":3": 410, "other:1": 410, "1": 410, ":": 410, ":2": 410,
		epoch + ":x": 410, epoch + ":-1": 410, epoch + ":99999999999999999999": 410,
	} {
		f := h.follow(t, ledgerEvents, last)
		f.stop()
		if f.status != want {
			t.Errorf("Last-Event-ID %q: %d, want %d", last, f.status, want)
		}
		if want == 410 {
			has(t, f.body, `"code":"EVENTS_GONE"`, `"error":"`)
		}
	}
}

func TestEventsHeartbeatGoesOnAndWatchesTheKey(t *testing.T) {
	h := serve(t, openStore(t), func(s *Server) { s.beat = 20 * time.Millisecond })
	f := h.follow(t, ledgerEvents, "")
	for range 3 {
		f.nextOf(t, "heartbeat")
	}
	keys, err := h.store.Keys(t.Context(), "ledger")
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	h.want(t, 204, "DELETE", "/v1/admin/keys/"+keys[0].ID, "", without("X-API-Key"))
	f.untilEnd(t)
}

// TestEventsOfAnotherManager come too, although nobody tells this one of them.
func TestEventsOfAnotherManager(t *testing.T) {
	h := serve(t, openStore(t), func(s *Server) { s.beat = time.Hour }) // which would look, too
	f := h.follow(t, ledgerEvents, "")
	f.nextOf(t, "heartbeat")
	if err := h.store.Seed(t.Context(), "ledger", []store.NewTenant{{Name: "Elsewhere"}}); err != nil {
		t.Fatal(err)
	}
	has(t, f.nextOf(t, "").data, `"event_type":"tenant.service.associated"`)
}

func TestManyFollowersSeeTheSame(t *testing.T) {
	h := start(t)
	followers := make([]*follower, 20)
	for i := range followers {
		followers[i] = h.follow(t, ledgerEvents, "")
		followers[i].nextOf(t, "heartbeat")
	}
	const changes = 40
	for i := range changes {
		h.tenant(t, "n"+strconv.Itoa(i))
	}
	epoch := versionOf(t, h).Epoch
	for _, f := range followers {
		for i := range changes {
			if got := f.nextOf(t, ""); got.id != epoch+":"+strconv.Itoa(2*(i+1)) {
				t.Fatalf("frame %d has the id %s", i, got.id)
			}
		}
	}
}

func TestTailForgetsTheOldest(t *testing.T) {
	tl := newTail(nil, time.Second)
	tl.from = tenant.Version{Epoch: "e", Revision: 10}
	far := &topic{since: math.MaxUint64} // of which nothing is known
	event := func(revision uint64, size int) store.Event {
		return store.Event{Event: tenant.Event{Epoch: "e", Revision: revision}, Data: make([]byte, size)}
	}
	var all []store.Event
	for i := range uint64(tailEvents + 5) {
		all = append(all, event(11+i, 1))
	}
	tl.add(all)
	kept := func(revision uint64) (first uint64, n int, ok bool) {
		events, _, ok := tl.after(tenant.Version{Epoch: "e", Revision: revision}, far)
		if len(events) > 0 {
			first = events[0].Revision
		}
		return first, len(events), ok
	}
	newest := uint64(10 + tailEvents + 5)
	for _, tt := range []struct {
		at, first uint64
		n         int
		ok        bool
	}{
		{14, 0, 0, false}, {15, 16, tailBatch, true}, {newest - 1, newest, 1, true}, {newest, 0, 0, true}, {newest + 1, 0, 0, false},
	} {
		if first, n, ok := kept(tt.at); first != tt.first || n != tt.n || ok != tt.ok {
			t.Errorf("after %d: %d events from %d, %v; want %d from %d, %v", tt.at, n, first, ok, tt.n, tt.first, tt.ok)
		}
	}
	if _, _, ok := tl.after(tenant.Version{Epoch: "f", Revision: newest}, far); ok {
		t.Error("another epoch is found")
	}
	tl.add([]store.Event{event(newest+1, tailBytes), event(newest+2, 1)})
	if _, n, ok := kept(newest + 1); n != 1 || !ok || len(tl.events) != 1 || tl.bytes != 1 {
		t.Errorf("%d events of %d bytes are left, want the last alone", len(tl.events), tl.bytes)
	}
}

// TestAStreamIsWokenByWhatConcernsItAlone, and knows how far all the others are.
func TestAStreamIsWokenByWhatConcernsItAlone(t *testing.T) {
	tl := newTail(nil, time.Second)
	tl.from, tl.left = tenant.Version{Epoch: "e", Revision: 10}, time.Now()
	tl.users = 1 // nothing is read
	ledger, leave := tl.join("ledger")
	defer leave()
	payments, leave := tl.join("payments")
	defer leave()
	event := func(revision uint64, services ...string) store.Event {
		return store.Event{Event: tenant.Event{Epoch: "e", Revision: revision, EventType: tenant.EventUpdated}, Services: services}
	}
	for _, tt := range []struct {
		event            store.Event
		ledger, payments bool
	}{
		{event(11, "ledger"), true, false},
		{event(12, "payments"), false, true},
		{event(13, "other"), false, false},
		{event(14, "ledger", "payments"), true, true},
		{event(15), true, true},
	} {
		of := map[*topic]<-chan struct{}{ledger: tl.news(ledger), payments: tl.news(payments)}
		tl.add([]store.Event{tt.event})
		for own, want := range map[*topic]bool{ledger: tt.ledger, payments: tt.payments} {
			woken := false
			select {
			case <-of[own]:
				woken = true
			default:
			}
			before := tenant.Version{Epoch: "e", Revision: tt.event.Revision - 1}
			events, upTo, ok := tl.after(before, own)
			if woken != want || len(events) > 0 != want || !ok || !want && upTo.Revision != tt.event.Revision {
				t.Errorf("%d for %v: woken %v, %d events up to %v, %v; want news: %v", tt.event.Revision, tt.event.Services, woken, len(events), upTo, ok, want)
			}
		}
	}
	if events, upTo, ok := tl.after(tenant.Version{Epoch: "e", Revision: 13}, ledger); len(events) != 2 || upTo.Revision != 13 || !ok {
		t.Errorf("after 13: %d events up to %v, %v; want the two that are left", len(events), upTo, ok)
	}
}

// countedEvents counts the readings.
type countedEvents struct {
	*store.Store

	readings int // by one goroutine at a time
}

func (c *countedEvents) EventsAfter(ctx context.Context, v tenant.Version, limit int) ([]store.Event, string, error) {
	c.readings++
	return c.Store.EventsAfter(ctx, v, limit)
}

func (c *countedEvents) Version(ctx context.Context) (tenant.Version, error) {
	c.readings++
	return c.Store.Version(ctx)
}

// TestTheTailReadsOnceForAll: streams that do nothing cost a reading twice a second, however many they are, and none when they have gone.
func TestTheTailReadsOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := &countedEvents{Store: openStore(t)}
		tl := newTail(over, time.Second)
		read := func() int {
			synctest.Wait()
			tl.reading <- struct{}{}
			defer func() { <-tl.reading }()
			return over.readings
		}
		var leaves []func()
		for range 100 {
			_, leave := tl.join("ledger")
			leaves = append(leaves, leave)
			if _, err := tl.now(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		lastRead := func() time.Time {
			synctest.Wait()
			tl.mu.Lock()
			defer tl.mu.Unlock()
			return tl.sound
		}
		first := lastRead()
		if n := read(); n != 1 {
			t.Errorf("%d readings for a hundred streams, want one for all", n)
		}
		time.Sleep(10 * time.Second)
		if n := read(); n > 1+int(10*time.Second/tailPoll) {
			t.Errorf("%d readings in ten seconds", n)
		}
		if at := lastRead(); !tl.soundly() || !at.After(first) || time.Since(at) > tailPoll {
			t.Errorf("the last reading was %s ago", time.Since(at))
		}
		for _, leave := range leaves {
			leave()
		}
		before := read()
		time.Sleep(10 * time.Second)
		if n := read(); n != before || tl.soundly() || len(tl.topics) != 0 {
			t.Errorf("%d readings for nobody", n-before)
		}
		at, err := tl.now(t.Context())
		tl.wake()
		if tl.fresh() || err != nil {
			t.Errorf("fresh after a change, %v", err)
		}
		if after, err := tl.now(t.Context()); err != nil || after != at {
			t.Errorf("%v, %v; want %v", after, err, at)
		}
	})
}

func TestConcerns(t *testing.T) {
	event := func(kind tenant.EventType, payload string, services ...string) store.Event {
		return store.Event{Event: tenant.Event{EventType: kind, TenantID: "a", Payload: json.RawMessage(payload)}, Services: services}
	}
	for _, tt := range []struct {
		event store.Event
		want  bool
	}{
		{event(tenant.EventCreated, ""), true}, // from before it was known for whom
		{event(tenant.EventUpdated, `{"service_name":"other"}`), true},
		{event(tenant.EventActivated, ""), true},
		{event(tenant.EventSuspended, ""), true},
		{event(tenant.EventDeleted, ""), true},
		{event(tenant.EventServiceAssociated, `{"service_name":"ledger"}`), true},
		{event(tenant.EventServiceAssociated, `{"service_name":"other"}`), false},
		{event(tenant.EventServicePurged, `{"service_name":"other"}`), false},
		{event(tenant.EventCredentialsRotated, `{"service_name":"other"}`), false},
		{event(tenant.EventConnectionsUpdated, `{"service_name":"ledger"}`), true},
		{event(tenant.EventCacheInvalidate, `{"service_name":"other"}`), false},
		{event(tenant.EventServiceAssociated, ""), true}, // damaged: everybody has to see that
		{event("tenant.new.kind", `{"service_name":"other"}`), false},
		{event("tenant.new.kind", ""), true},
		{event(tenant.EventUpdated, "", "other"), false},
		{event(tenant.EventDeleted, "", "other", "ledger"), true},
		{event(tenant.EventServiceAssociated, `{"service_name":"ledger"}`, "other"), true},
		{event(tenant.EventServiceAssociated, "", "other"), false}, // damaged, and not ours
	} {
		if got := concerns(tt.event, "ledger"); got != tt.want {
			t.Errorf("%s %s: %v, want %v", tt.event.EventType, tt.event.Payload, got, tt.want)
		}
	}
}

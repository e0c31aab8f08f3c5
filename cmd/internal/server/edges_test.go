package server

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/edges"
)

func TestEdgesOfTheHTTPServer(t *testing.T) {
	e := newEdge(t)
	edges.Table{
		Face: "http server", Packages: []string{"."}, Faults: slices.Sorted(maps.Keys(edgeRows)), Operations: e.ids,
		Inside: map[string]string{
			"New": "it looks at nothing, and reaches nobody", "CheckProxies": "it reads a text",
			"Server.Serve": "every column is asked of what it serves", "Server.Close": "it waits for nobody outside",
		},
		Cell: func(fault, operation string) edges.Cell { return edgeRows[fault].cell(e, e.calls[operation]) },
	}.Run(t)
}

// edgeRow is something that a client does. spoil makes it of a good request; or run does all of it.
type edgeRow struct {
	never func(c edgeCall) string // why not, or ""
	spoil func(e *edge, c edgeCall, r *edgeRequest)
	want  func(c edgeCall) (status int, code string)
	run   func(t *testing.T, e *edge, c edgeCall)
}

func (row edgeRow) cell(e *edge, c edgeCall) edges.Cell {
	if row.never != nil {
		if why := row.never(c); why != "" {
			return edges.Never(why)
		}
	}
	return edges.Cell{Run: func(t *testing.T) {
		if row.run != nil {
			row.run(t, e, c)
		} else {
			row.ask(t, e, c)
		}
		e.othersAreServed(t)
	}}
}

// ask sends the request and looks at the answer, and that nothing was changed by what was refused.
func (row edgeRow) ask(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	r := e.good(t, c)
	row.spoil(e, c, &r)
	before := versionOf(t, e.served)
	got := r.send(t.Context(), c.kind != kindStream)
	status, code := row.want(c)
	wantEdge(t, got, status, code)
	if after := versionOf(t, e.served); got.status >= 400 && after != before {
		t.Errorf("it was refused, and something changed: %+v, then %+v", before, after)
	}
}

func wantEdge(t *testing.T, got wireAnswer, status int, code string) {
	t.Helper()
	if got.err != nil || got.status != status || !strings.Contains(got.body, code) {
		t.Errorf("%d %.300s (%v), want %d %s", got.status, got.body, got.err, status, code)
	}
	if got.status == http.StatusTooManyRequests || got.status == http.StatusServiceUnavailable {
		if got.header.Get("Retry-After") == "" {
			t.Errorf("a %d without Retry-After", got.status)
		}
	}
}

// othersAreServed asks as another service, and wants all places back that nobody holds any more.
func (e *edge) othersAreServed(t *testing.T) {
	t.Helper()
	e.want(t, 200, "GET", billingList, "", with("X-API-Key", e.billing), without("Authorization"))
}

func (e *edge) placesAreFree(t *testing.T) {
	t.Helper()
	eventually(t, "all places are free again", func() bool {
		for _, l := range []*limiter{e.limits.lookups, e.limits.reads, e.limits.changes, e.limits.lists, e.limits.catchUp, e.limits.streams} {
			l.mu.Lock()
			free := l.free == l.places
			l.mu.Unlock()
			if !free {
				return false
			}
		}
		return true
	})
}

func onlyStreams(c edgeCall) string {
	if c.kind != kindStream {
		return "only a stream looks at it, or lasts"
	}
	return ""
}

func onlyLists(c edgeCall) string {
	if c.kind != kindList {
		return "only the list looks at it"
	}
	return ""
}

func noRoom(c edgeCall) string {
	if c.kind == kindRoom {
		return "its bounds are 5 s and 15 s and cannot be made shorter, and it reads no body; it speaks as net/http does, like the others"
	}
	return ""
}

var edgeRows = map[string]edgeRow{
	"shows nothing":       {spoil: func(_ *edge, _ edgeCall, r *edgeRequest) { r.header = http.Header{"Content-Type": {jsonType}} }, want: guardedBy(401, "UNAUTHORIZED")},
	"shows a wrong key":   {spoil: header("X-API-Key", "twk_"+strings.Repeat("w", 43)), want: guardedBy(401, "UNAUTHORIZED")},
	"shows a wrong token": {spoil: header("Authorization", "Bearer twt_"+strings.Repeat("w", 43)), want: guardedBy(401, "UNAUTHORIZED")},
	"shows a revoked key": {spoil: key(func(e *edge) string { return e.revokedKey }, false), want: guardedBy(401, "UNAUTHORIZED")},
	"shows a revoked token": {
		spoil: func(e *edge, _ edgeCall, r *edgeRequest) { r.header.Set("Authorization", "Bearer "+e.revokedTok) }, want: guardedBy(401, "UNAUTHORIZED"),
	},
	"shows a key alone":           {spoil: key(func(e *edge) string { return e.key }, true), want: ofKeyAlone},
	"shows another service's key": {spoil: key(func(e *edge) string { return e.billing }, true), want: ofAnothersKey},
	"shows 40 KiB as a key":       {spoil: header("X-API-Key", strings.Repeat("k", 40<<10)), want: guardedBy(401, "UNAUTHORIZED")},
	"asks too often": {spoil: func(e *edge, c edgeCall, r *edgeRequest) {
		if c.kind != kindRoom {
			r.url = e.limited.url
		}
		r.header.Set("X-API-Key", e.limited.key)
		r.header.Set("Authorization", "Bearer "+e.limited.token)
	}, want: guardedBy(429, "TOO_MANY_REQUESTS")},
	"has headers of 1 MiB": {spoil: header("X-Large", strings.Repeat("a", 1<<20)), want: always(431, "")},
	"has %zz in the path":  {spoil: target(func(at string) string { return "/%zz" + at }), want: always(400, "")},
	"asks for what isn't there": {
		spoil: target(func(string) string { return "/v1/nothing/at/all/of/this/kind" }), want: ofNoCall(404),
	},
	"spells the path in another way": {
		spoil: target(func(at string) string { return "/." + at }), want: ofNoCall(404),
	},
	"has a method that isn't there": {spoil: func(_ *edge, _ edgeCall, r *edgeRequest) { r.method = "BREW" }, want: ofNoCall(405)},
	"sends garbage":                 {spoil: body(func(string) string { return "\xff\x00<html>" }), want: ofBody(400, "INVALID_BODY")},
	"sends a cut body":              {spoil: body(func(good string) string { return good[:len(good)-1] }), want: ofBody(400, "INVALID_BODY")},
	"sends a key twice":             {spoil: body(func(good string) string { return `{"a":1,"a":2,` + good[1:] }), want: ofBody(400, "INVALID_BODY")},
	"sends half a surrogate":        {spoil: body(func(good string) string { return `{"a":"\ud800",` + good[1:] }), want: ofBody(400, "INVALID_BODY")},
	"sends a NUL":                   {spoil: body(func(good string) string { return `{"a":"\u0000",` + good[1:] }), want: ofBody(400, "INVALID_BODY")},
	"nests 20,000 deep":             {spoil: body(func(string) string { return `{"a":` + strings.Repeat("[", 20_000) }), want: ofBody(400, "INVALID_BODY")},
	"calls it text":                 {spoil: header("Content-Type", "text/plain"), want: ofBody(415, "UNSUPPORTED_MEDIA_TYPE")},
	"compresses the body":           {spoil: header("Content-Encoding", "gzip"), want: ofBody(415, "UNSUPPORTED_MEDIA_TYPE")},
	"sends another case":            {run: anotherCase},
	"sends a body of 2 MiB":         {spoil: body(func(string) string { return `{"a":"` + strings.Repeat("a", 2<<20) + `"}` }), want: ofBody(413, "BODY_TOO_LARGE")},
	"sends an endless body":         {run: endlessBody},
	"announces 1 GiB":               {run: hugeBody},
	"has a bad Last-Event-ID":       {never: onlyStreams, spoil: header("Last-Event-ID", `a:-1"`), want: always(410, "EVENTS_GONE")},
	"has a bad If-None-Match":       {never: onlyLists, spoil: header("If-None-Match", `W/"",,,"*`), want: own},
	"has bad query parameters":      {never: needsQuery, run: badQuery},
	"has a bad id in the path":      {never: needsID, run: badID},
	"is slow in the head":           {never: noRoom, run: slowHead("is slow in the head", true)},
	"is silent in the head":         {never: noRoom, run: slowHead("is silent in the head", false)},
	"is slow in the body":           {never: noRoom, run: slowBody("is slow in the body", true)},
	"is silent in the body":         {never: noRoom, run: slowBody("is silent in the body", false)},
	"is silent on a stream":         {never: onlyStreams, run: silentOnAStream},
	"goes away in the head":         {run: goesAway(func(r edgeRequest) string { return strings.TrimSuffix(r.head(0), "\r\n") })},
	"goes away in the body":         {run: goesAway(func(r edgeRequest) string { return r.head(1000) + "\r\n{" })},
	"goes away before the answer":   {run: goesAway(func(r edgeRequest) string { return r.head(len(r.body)) + "\r\n" + r.body })},
	"shuts its window of HTTP/2":    {never: noRoom, run: shutsItsWindow},
	"asks many times at once":       {run: manyAtOnce},
}

func needsQuery(c edgeCall) string {
	if len(c.query) == 0 {
		return "it has no parameters in the query"
	}
	return ""
}

func needsID(c edgeCall) string {
	if !strings.Contains(c.path, "{") {
		return "it has none"
	}
	return ""
}

// anotherCase: a key that is spelled otherwise is another key, and so it is as if there were none.
func anotherCase(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	r, empty := e.good(t, c), e.good(t, c)
	if c.hasBody {
		r.body, empty.body = strings.ToUpper(r.body), `{}`
	}
	got, want := r.send(t.Context(), c.kind != kindStream), empty.send(t.Context(), c.kind != kindStream)
	if got.err != nil || got.status != want.status || got.status >= 500 && c.kind != kindRoom {
		t.Errorf("%d %s (%v), want as with an empty body: %d %s", got.status, got.body, got.err, want.status, want.body)
	}
}

func badQuery(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	for _, name := range c.query {
		for _, value := range []string{"%01", "%ff", "%00", strings.Repeat("x", 10_000)} {
			r := e.good(t, c)
			path, _, _ := strings.Cut(r.target, "?")
			r.target = path + "?" + name + "=" + value
			before := versionOf(t, e.served)
			wantEdge(t, r.send(t.Context(), true), 400, `"code":"`)
			if t.Failed() || versionOf(t, e.served) != before {
				t.Fatalf("%s=%.20s; or something changed", name, value)
			}
		}
	}
}

func badID(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	for _, value := range []string{"%01", "%ff", "%00", strings.Repeat("x", 10_000)} {
		r := e.good(t, c)
		r.target = strings.NewReplacer("{id}", value, "{service}", value, "{revision}", value).Replace(c.path)
		before := versionOf(t, e.served)
		got := r.send(t.Context(), true)
		if got.err != nil || got.status != 404 && got.status != 400 || !strings.Contains(got.body, `"code":"`) || versionOf(t, e.served) != before {
			t.Errorf("%.20s: %d %s (%v), want that there is no such thing", value, got.status, got.body, got.err)
		}
	}
}

func endlessBody(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	r := e.good(t, c)
	status, code := ofBody(413, "BODY_TOO_LARGE")(c)
	wantEdge(t, exchange(t.Context(), r.url, r.head(-1)+"\r\n", flood, c.kind != kindStream), status, code)
}

func hugeBody(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	r := e.good(t, c)
	r.header.Set("Expect", "100-continue")
	status, code := ofBody(413, "BODY_TOO_LARGE")(c)
	wantEdge(t, exchange(t.Context(), r.url, r.head(1<<30)+"\r\n", nil, c.kind != kindStream), status, code)
}

func slowHead(row string, trickles bool) func(*testing.T, *edge, edgeCall) {
	more := trickle
	if !trickles {
		more = nil
	}
	return func(t *testing.T, e *edge, c edgeCall) {
		got := e.slowCalls(t, row, false, more)[c.id]
		if got.err != nil || got.status != 0 && got.status != http.StatusRequestTimeout && got.status != http.StatusBadRequest {
			t.Errorf("%d %s (%v), want that it is shown out", got.status, got.body, got.err)
		}
	}
}

func slowBody(row string, trickles bool) func(*testing.T, *edge, edgeCall) {
	more := trickle
	if !trickles {
		more = nil
	}
	return func(t *testing.T, e *edge, c edgeCall) {
		status, code := ofBody(408, "BODY_TIMEOUT")(c)
		wantEdge(t, e.slowCalls(t, row, true, more)[c.id], status, code)
		e.placesAreFree(t)
	}
}

// silentOnAStream: to read is enough. The bounds of a request end no stream.
func silentOnAStream(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	r := e.good(t, c)
	at := *e.served
	at.url = e.short
	f := at.follow(t, r.target, "")
	for range 2 + int(shortBody/edgeBeat) {
		f.nextOf(t, "heartbeat")
	}
	f.stop()
	e.placesAreFree(t)
}

func goesAway(text func(edgeRequest) string) func(*testing.T, *edge, edgeCall) {
	return func(t *testing.T, e *edge, c edgeCall) {
		r := e.good(t, c)
		leave(t, r.url, text(r))
		e.othersAreServed(t)
		e.placesAreFree(t)
	}
}

func shutsItsWindow(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	const status500 = 0x8e // in the table of HPACK
	first, done := e.shutWindow(t, e.good(t, c))
	defer done()
	if first == status500 {
		t.Error("it failed")
	}
	e.othersAreServed(t)
	done()
	e.placesAreFree(t)
}

// manyAtOnce: each is answered, with a refusal that says when to ask again at the worst, and nobody else waits for it.
func manyAtOnce(t *testing.T, e *edge, c edgeCall) {
	t.Helper()
	r := e.good(t, c)
	var running sync.WaitGroup
	answers := make([]wireAnswer, 12)
	for i := range answers {
		running.Go(func() { answers[i] = r.send(t.Context(), c.kind != kindStream) })
	}
	e.othersAreServed(t)
	running.Wait()
	for _, got := range answers {
		fine := got.status == c.status || got.status/100 == 2 || got.status == 404 || got.status == 409
		short := got.status == 503 && got.header.Get("Retry-After") != ""
		if got.err != nil || !fine && !short {
			t.Errorf("%d %s (%v)", got.status, got.body, got.err)
		}
	}
	e.placesAreFree(t)
}

package worker

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/internal/debugpage"
	"github.com/tenantwatch/tenantwatch/internal/usererror"
)

const (
	troubleLength = 10  // tenants that the page shows of each state that is trouble
	errorLength   = 500 // bytes that are shown of an error
)

// inTrouble are the states that somebody has to look at, the worst first. One that waits in line is in no trouble of its own,
// but hears of nobody when the limit is too low.
var inTrouble = []State{Overstaying, GivenUp, Restarting, Waiting}

var everyState = []State{Waiting, Running, Stopping, Overstaying, Restarting, Done, GivenUp}

//go:embed page.html
var pageSource string

// Handler returns a handler that shows the state of the work of each tenant. It is for a debug port, because it shows
// the names of tenants and the errors of their work, and asks for no key. Mount it below a path that ends in a slash:
//
//	mux.Handle("/debug/workers/", http.StripPrefix("/debug/workers", worker.Handler(g)))
//
// Below that path there are a web page (/) and two answers in JSON: how many tenants are in each state (/status), and
// the tenants that are in a state and whose ids begin with a prefix, in pages (/tenants?state=&prefix=&after=&limit=).
// Each request calls [Group.Status] once and shows at most one page of it. A nil Group has no tenants.
func Handler(g *Group) http.Handler {
	h := handler{status: func() Status { return Status{} }, log: slog.New(slog.DiscardHandler), html: debugpage.Parse(pageSource)}
	if g != nil {
		h.status, h.log = g.Status, g.cfg.Logger
	}
	return h.routes()
}

type handler struct {
	status func() Status
	log    *slog.Logger
	html   *template.Template
}

func (h handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /status", h.counts)
	mux.HandleFunc("GET /tenants", h.tenants)
	return debugpage.Harden(mux)
}

// countsView is how many tenants there are, and how many of them in each state.
type countsView struct {
	Tenants     int `json:"tenants"`
	Limit       int `json:"limit,omitempty"` // of those that run, none if it is left out
	Waiting     int `json:"waiting"`
	Running     int `json:"running"`
	Stopping    int `json:"stopping"`
	Overstaying int `json:"overstaying"`
	Restarting  int `json:"restarting"`
	Done        int `json:"done"`
	GivenUp     int `json:"given_up"`
}

func countsOf(s *Status) countsView {
	return countsView{
		Tenants: len(s.Tenants), Limit: s.Limit, Waiting: s.Waiting, Running: s.Running, Stopping: s.Stopping, Overstaying: s.Overstaying,
		Restarting: s.Restarting, Done: s.Done, GivenUp: s.GivenUp,
	}
}

func (v countsView) of(s State) int {
	switch s {
	case Waiting:
		return v.Waiting
	case Running:
		return v.Running
	case Stopping:
		return v.Stopping
	case Overstaying:
		return v.Overstaying
	case Restarting:
		return v.Restarting
	case Done:
		return v.Done
	case GivenUp:
		return v.GivenUp
	default:
		return 0
	}
}

func (h handler) counts(w http.ResponseWriter, _ *http.Request) {
	s := h.status()
	debugpage.Answer(w, h.log, countsOf(&s))
}

// tenantView is TenantStatus as JSON: the state by its name, the error as a text.
type tenantView struct {
	TenantID string    `json:"tenant_id"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Place    int       `json:"place,omitempty"` // in the line of those that wait, from 1
	Next     time.Time `json:"next,omitzero"`   // when the back-off ends
	// Reconfiguring is since when the hook is being called.
	Reconfiguring time.Time `json:"reconfiguring,omitzero"`
	Restarts      int       `json:"restarts"`
	LastError     string    `json:"last_error,omitempty"`
	Active        bool      `json:"active"`
}

func viewOf(t *TenantStatus) tenantView {
	v := tenantView{
		TenantID: t.TenantID, State: t.State.String(), Since: t.Since, Place: t.Place, Restarts: t.Restarts, Active: t.Active,
		Next: t.Next, Reconfiguring: t.Reconfiguring,
	}
	v.LastError = shorten(usererror.Text(t.LastError))
	return v
}

// shorten cuts a text that the work of a tenant has made, and which may have any length, and any bytes in it.
func shorten(text string) string {
	if len(text) > errorLength {
		end := errorLength
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return strings.ToValidUTF8(text, "�")
}

// listView is a page of tenants. Next is the after of the next one, empty on the last.
type listView struct {
	Tenants []tenantView `json:"tenants"`
	Next    string       `json:"next,omitempty"`
	Total   int          `json:"total"` // of the state and with the prefix
}

// query is what is asked for. A zero state is any.
type query struct {
	state         State
	prefix, after string
	limit         int
}

func readQuery(r *http.Request) (query, error) {
	q := query{prefix: r.FormValue("prefix"), after: r.FormValue("after")}
	if name := r.FormValue("state"); name != "" {
		i := slices.IndexFunc(everyState, func(s State) bool { return s.String() == name })
		if i < 0 {
			return q, fmt.Errorf("state %.20q: it is one of %v", name, everyState)
		}
		q.state = everyState[i]
	}
	var err error
	q.limit, err = debugpage.Limit(r.FormValue("limit"))
	return q, err
}

func (h handler) tenants(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s := h.status()
	debugpage.Answer(w, h.log, listOf(s.Tenants, q))
}

// listOf returns what is asked for of the tenants, which are in the order of their ids.
func listOf(tenants []TenantStatus, q query) listView {
	v := listView{Tenants: []tenantView{}}
	for i := range tenants {
		t := &tenants[i]
		if q.state != 0 && t.State != q.state || !strings.HasPrefix(t.TenantID, q.prefix) {
			continue
		}
		v.Total++
		switch {
		case t.TenantID <= q.after:
		case len(v.Tenants) < q.limit:
			v.Tenants = append(v.Tenants, viewOf(t))
		default:
			v.Next = v.Tenants[q.limit-1].TenantID
		}
	}
	return v
}

// pageView is what the page shows.
type pageView struct {
	Counts  countsView
	States  []stateView
	Healthy bool
	Trouble []troubleView
	State   string
	Prefix  string
	List    listView
	Now     time.Time
}

type stateView struct {
	State string
	Count int
	Bad   bool
}

// troubleView has those that have been in a state of trouble for the longest, or are the next in line.
type troubleView struct {
	State   string
	Tenants []tenantView
	More    int
}

func (h handler) page(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s := h.status()
	v := pageView{
		Counts: countsOf(&s), Healthy: s.Overstaying+s.GivenUp+s.Restarting == 0,
		Prefix: q.prefix, List: listOf(s.Tenants, q), Now: time.Now(),
	}
	if q.state != 0 {
		v.State = q.state.String()
	}
	if q.state == 0 && q.prefix == "" && q.after == "" { // else it would stand before what was asked for
		v.Trouble = troubles(s.Tenants)
	}
	for _, state := range everyState {
		n := v.Counts.of(state)
		v.States = append(v.States, stateView{state.String(), n, n > 0 && state != Waiting && slices.Contains(inTrouble, state)})
	}
	debugpage.Show(w, h.log, h.html, v)
}

func troubles(tenants []TenantStatus) []troubleView {
	found := make(map[State][]*TenantStatus, len(inTrouble))
	for i := range tenants {
		if t := &tenants[i]; slices.Contains(inTrouble, t.State) {
			found[t.State] = append(found[t.State], t)
		}
	}
	var all []troubleView
	for _, state := range inTrouble {
		those := found[state]
		if len(those) == 0 {
			continue
		}
		slices.SortStableFunc(those, func(a, b *TenantStatus) int {
			return cmp.Or(cmp.Compare(a.Place, b.Place), a.Since.Compare(b.Since))
		})
		v := troubleView{State: state.String(), More: max(0, len(those)-troubleLength)}
		for _, t := range those[:len(those)-v.More] {
			v.Tenants = append(v.Tenants, viewOf(t))
		}
		all = append(all, v)
	}
	return all
}

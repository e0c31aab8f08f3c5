package discovery

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	pageLength    = 100  // tenants of one page unless limit says otherwise
	longestPage   = 1000 // and the most that limit may say
	recentLength  = 50   // changes that the page shows
	contentPolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"
	contentJSON   = "application/json; charset=utf-8"
)

//go:embed page.html
var pageSource string

// parsePage is called by Handler and not when the program starts, so that a program without the page does not link it.
func parsePage() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"ago":   func(t time.Time) string { return ago(time.Since(t)) },
		"clock": func(t time.Time) string { return t.Format("2006-01-02 15:04:05.000 MST") },
	}).Parse(pageSource))
}

// Handler shows what the discovery knows, for a debug port: it tells names of tenants and asks for no key. It is mounted
// like any other handler, below a path that ends in a slash:
//
//	mux.Handle("/debug/tenants/", http.StripPrefix("/debug/tenants", discovery.Handler(d)))
//
// Below that path there are a page (/), the status (/status), tenants by prefix and in pages (/tenants?prefix=&after=&limit=)
// and the last changes of one tenant (/explain?tenant=), the last three as JSON. Reading never disturbs the discovery.
func Handler(d *TenantDiscovery) http.Handler {
	h := handler{d, parsePage()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /status", h.status)
	mux.HandleFunc("GET /tenants", h.tenants)
	mux.HandleFunc("GET /explain", h.explain)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", contentPolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

type handler struct {
	d    *TenantDiscovery
	html *template.Template
}

// statusView is Status as JSON: errors as texts, and the age in seconds.
type statusView struct {
	Service       string         `json:"service"`
	State         State          `json:"state"`
	Since         time.Time      `json:"since"`
	Ready         bool           `json:"ready"`
	Tenants       int            `json:"tenants"`
	Version       tenant.Version `json:"version"`
	AgeSeconds    float64        `json:"age_seconds"`
	LastSnapshot  time.Time      `json:"last_snapshot,omitzero"`
	LastEvent     time.Time      `json:"last_event,omitzero"`
	FeedConnected bool           `json:"feed_connected"`
	FeedError     string         `json:"feed_error,omitempty"`
	SnapshotError string         `json:"snapshot_error,omitempty"`
	Counters      Counters       `json:"counters"`
}

func (h handler) view() statusView {
	s := h.d.Status()
	v := statusView{
		State: s.State, Since: s.Since, Ready: s.Ready(), Tenants: s.Tenants, Version: s.Version, AgeSeconds: s.Age().Seconds(),
		LastSnapshot: s.LastSnapshot, LastEvent: s.LastEvent, FeedConnected: s.FeedConnected,
		FeedError: text(s.FeedError, ""), SnapshotError: text(s.SnapshotError, ""), Counters: s.Counters,
	}
	if h.d != nil {
		v.Service = h.d.cfg.ServiceName
	}
	return v
}

func (h handler) status(w http.ResponseWriter, _ *http.Request) { h.answer(w, h.view()) }

// tenantsView is a page of tenants. Next is the after of the next one, empty on the last.
type tenantsView struct {
	Tenants []string `json:"tenants"`
	Next    string   `json:"next,omitempty"`
	Total   int      `json:"total"` // with the prefix
}

func (h handler) tenants(w http.ResponseWriter, r *http.Request) {
	limit, err := readLimit(r.FormValue("limit"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.answer(w, h.list(r.FormValue("prefix"), r.FormValue("after"), limit))
}

func readLimit(text string) (int, error) {
	if text == "" {
		return pageLength, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > longestPage {
		return 0, fmt.Errorf("limit %.20q: it is a number from 1 to %d", text, longestPage)
	}
	return limit, nil
}

// list returns up to limit tenants with the prefix, those behind after, in the order of their ids.
func (h handler) list(prefix, after string, limit int) tenantsView {
	v := tenantsView{Tenants: []string{}}
	for id := range h.d.All() {
		if !strings.HasPrefix(id, prefix) {
			continue
		}
		v.Total++
		if id > after {
			v.Tenants = append(v.Tenants, id)
		}
	}
	slices.Sort(v.Tenants)
	if len(v.Tenants) > limit {
		v.Tenants = slices.Clip(v.Tenants[:limit])
		v.Next = v.Tenants[limit-1]
	}
	return v
}

// explainView is what is known of one tenant.
type explainView struct {
	TenantID string          `json:"tenant_id"`
	Active   bool            `json:"active"`
	Changes  []tenant.Change `json:"changes"`
}

func (h handler) explain(w http.ResponseWriter, r *http.Request) {
	id := r.FormValue("tenant")
	if !tenant.ValidID(id) {
		http.Error(w, "tenant: it is 1 to 256 letters, digits, - and _, the first a letter or a digit", http.StatusBadRequest)
		return
	}
	h.answer(w, h.explanation(id))
}

func (h handler) explanation(id string) explainView {
	return explainView{TenantID: id, Active: h.d.IsActive(id), Changes: append([]tenant.Change{}, h.d.Explain(id)...)}
}

func (h handler) answer(w http.ResponseWriter, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		h.failed(w, err)
		return
	}
	w.Header().Set("Content-Type", contentJSON)
	_, _ = w.Write(append(data, '\n')) // the reader has gone if this fails
}

// pageView is what the page shows.
type pageView struct {
	Status  statusView
	Healthy bool
	Age     string
	Prefix  string
	List    tenantsView
	Recent  []tenant.Change
	Explain *explainView
	Now     time.Time
}

func (h handler) page(w http.ResponseWriter, r *http.Request) {
	v := pageView{
		Status: h.view(), Prefix: r.FormValue("prefix"), Now: time.Now(), Recent: h.d.recentChanges(),
		List: h.list(r.FormValue("prefix"), r.FormValue("after"), pageLength),
	}
	v.Healthy = v.Status.State == Live
	v.Age = ago(time.Duration(v.Status.AgeSeconds * float64(time.Second)))
	if id := r.FormValue("tenant"); tenant.ValidID(id) {
		explanation := h.explanation(id)
		v.Explain = &explanation
	}
	var body bytes.Buffer
	if err := h.html.Execute(&body, v); err != nil {
		h.failed(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes()) // the reader has gone if this fails
}

func (h handler) failed(w http.ResponseWriter, err error) {
	if h.d != nil {
		h.d.cfg.Logger.Error("the debug page failed", slog.Any("error", err))
	}
	http.Error(w, "the log says what is wrong", http.StatusInternalServerError)
}

// ago is a duration for people.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}

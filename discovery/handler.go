package discovery

import (
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/debugpage"
	"github.com/tenantwatch/tenantwatch/internal/usererror"
	"github.com/tenantwatch/tenantwatch/tenant"
)

//go:embed page.html
var pageSource string

// Handler returns a handler that shows what the discovery knows. It is for a debug port, because it shows the names of
// tenants and asks for no key. Mount it below a path that ends in a slash:
//
//	mux.Handle("/debug/tenants/", http.StripPrefix("/debug/tenants", discovery.Handler(d)))
//
// Below that path there are a web page (/) and three answers in JSON: the status (/status), the tenants whose ids begin
// with a prefix, in pages (/tenants?prefix=&after=&limit=), and the last changes of one tenant (/explain?tenant=).
// Requests do not disturb the discovery.
func Handler(d *TenantDiscovery) http.Handler {
	h := handler{d, slog.New(slog.DiscardHandler), debugpage.Parse(pageSource)}
	if d != nil {
		h.log = d.cfg.Logger
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /status", h.status)
	mux.HandleFunc("GET /tenants", h.tenants)
	mux.HandleFunc("GET /explain", h.explain)
	return debugpage.Harden(mux)
}

type handler struct {
	d    *TenantDiscovery
	log  *slog.Logger
	html *template.Template
}

// statusView is Status as JSON: errors as texts, and the age in seconds.
type statusView struct {
	Service       string         `json:"service,omitempty"`
	State         State          `json:"state"`
	Reason        string         `json:"reason"`
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

func viewOf(s Status) statusView {
	return statusView{
		State: s.State, Reason: s.Reason, Since: s.Since, Ready: s.Ready(), Tenants: s.Tenants, Version: s.Version, AgeSeconds: s.Age().Seconds(),
		LastSnapshot: s.LastSnapshot, LastEvent: s.LastEvent, FeedConnected: s.FeedConnected,
		FeedError: usererror.Text(s.FeedError), SnapshotError: usererror.Text(s.SnapshotError), Counters: s.Counters,
	}
}

func (h handler) view() statusView {
	v := viewOf(h.d.Status())
	if h.d != nil {
		v.Service = h.d.cfg.ServiceName
	}
	return v
}

func (h handler) status(w http.ResponseWriter, _ *http.Request) { debugpage.Answer(w, h.log, h.view()) }

// tenantsView is a page of tenants. Next is the after of the next one, empty on the last.
type tenantsView struct {
	Tenants []string `json:"tenants"`
	Next    string   `json:"next,omitempty"`
	Total   int      `json:"total"` // with the prefix
}

func (h handler) tenants(w http.ResponseWriter, r *http.Request) {
	limit, err := debugpage.Limit(r.FormValue("limit"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	debugpage.Answer(w, h.log, h.list(r.FormValue("prefix"), r.FormValue("after"), limit))
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
	debugpage.Answer(w, h.log, h.explanation(id))
}

func (h handler) explanation(id string) explainView {
	return explainView{TenantID: id, Active: h.d.IsActive(id), Changes: append([]tenant.Change{}, h.d.Explain(id)...)}
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
		List: h.list(r.FormValue("prefix"), r.FormValue("after"), debugpage.Length),
	}
	v.Healthy = v.Status.State == Live
	v.Age = debugpage.Ago(time.Duration(v.Status.AgeSeconds * float64(time.Second)))
	if id := r.FormValue("tenant"); tenant.ValidID(id) {
		explanation := h.explanation(id)
		v.Explain = &explanation
	}
	debugpage.Show(w, h.log, h.html, v)
}

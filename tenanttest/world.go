package tenanttest

import (
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// world is the manager's data. What a change does to a record of it, [lifecycle] decides. Its methods take no lock, look at no
// clock and do no I/O.
type world struct {
	tenants map[string]*record // by canonical id
	slugs   map[string]*record
	order   []*record // oldest first, as the list shows them
	created uint64    // how many there have ever been
}

// record is a tenant and its place in the order of creation.
type record struct {
	lifecycle.Record

	seq uint64
}

// happening is what there is to announce, with the rows of lists that it changes.
type happening struct {
	lifecycle.Happening

	rows []rowChange
}

// rowChange is a row that came to the list of a service (before is nil), left it, or changed.
type rowChange struct {
	service string
	seq     uint64
	before  *tenant.Summary
}

func newWorld() *world {
	return &world{tenants: map[string]*record{}, slugs: map[string]*record{}}
}

// active returns the rows of service's list, and the place of each in the order of creation.
func (w *world) active(service string) map[uint64]tenant.Summary {
	rows := map[uint64]tenant.Summary{}
	for _, rec := range w.order {
		if slices.Contains(rec.Listed(), service) {
			rows[rec.seq] = rec.row()
		}
	}
	return rows
}

// services are the names of those that have a tenant, sorted.
func (w *world) services() []string {
	var out []string
	for _, rec := range w.order {
		for _, a := range rec.Associations {
			out = append(out, a.Service)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var errNoTenant = &lifecycle.NotFound{Of: lifecycle.OfTenant}

func (w *world) find(id string) (*record, error) {
	if rec := w.tenants[tenant.CanonicalID(id)]; rec != nil {
		return rec, nil
	}
	return nil, errNoTenant
}

// checkPath is asked before anything else: there is no tenant with an id that none can have, and no service with such a name.
func checkPath(id, service string) error {
	if !tenant.ValidID(id) {
		return errNoTenant
	}
	return contract.CheckAskedService(service)
}

// findAssociation finds a purged one too.
func (w *world) findAssociation(id, service string) (*record, *lifecycle.Association, error) {
	if err := checkPath(id, service); err != nil {
		return nil, nil, err
	}
	rec, err := w.find(id)
	if err != nil {
		return nil, nil, err
	}
	a := rec.Find(service)
	if a == nil {
		err = &lifecycle.NotFound{Of: lifecycle.OfAssociation}
	}
	return rec, a, err
}

func (w *world) bySlug(slug string) (*lifecycle.Record, error) {
	if rec := w.slugs[slug]; rec != nil {
		return &rec.Record, nil
	}
	return nil, errNoTenant
}

// create takes an id and a slug that are known to be free.
func (w *world) create(id string, n lifecycle.NewTenant, now time.Time) (*record, []happening) {
	w.created++
	made, happened := lifecycle.New(id, n, now)
	rec := &record{seq: w.created, Record: made}
	w.tenants[tenant.CanonicalID(id)] = rec
	w.slugs[rec.Slug] = rec
	w.order = append(w.order, rec)
	announced := rec.with(nil, happened)
	return rec, announced
}

func (w *world) remove(r *lifecycle.Record) {
	delete(w.tenants, tenant.CanonicalID(r.ID))
	delete(w.slugs, r.Slug)
	w.order = slices.DeleteFunc(w.order, func(rec *record) bool { return &rec.Record == r })
}

// checkService lets a name pass that is in use already, as the names of before there were rules are.
func (w *world) checkService(service string) error {
	if err := contract.CheckService(service); err != nil && !slices.Contains(w.services(), service) {
		return err
	}
	return nil
}

func (w *world) associate(rec *record, a *lifecycle.Association, now time.Time) ([]happening, error) {
	if err := w.checkService(a.Service); err != nil {
		return nil, err
	}
	return rec.change(func(r *lifecycle.Record) ([]lifecycle.Happening, error) { return r.Associate(a, now) })
}

// change adds to what fn announces the rows that it changes.
func (rec *record) change(fn func(*lifecycle.Record) ([]lifecycle.Happening, error)) ([]happening, error) {
	before := map[string]*tenant.Summary{}
	for _, service := range rec.Listed() {
		row := rec.row()
		before[service] = &row
	}
	happened, err := fn(&rec.Record)
	return rec.with(before, happened), err
}

func (rec *record) with(before map[string]*tenant.Summary, happened []lifecycle.Happening) []happening {
	out := make([]happening, 0, len(happened))
	for _, h := range happened {
		one := happening{Happening: h}
		for _, service := range h.Lists {
			one.rows = append(one.rows, rowChange{service: service, seq: rec.seq, before: before[service]})
		}
		out = append(out, one)
	}
	return out
}

func (rec *record) row() tenant.Summary {
	return tenant.Summary{ID: rec.ID, Name: rec.Name, Status: rec.Status}
}

package activeset

import (
	"bytes"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Rows is a snapshot as it comes in. The zero Rows has none. All rows are added, then it is sealed.
type Rows struct {
	build    builder
	set      Set
	given    int               // rows of the answer
	unusable int               // those of them that nobody can read
	skipped  uint64            // those that are not taken, the unusable ones included
	names    map[string]string // by canonical id; nil where they are not kept
}

// KeepNames lets the rows keep the names of the tenants. It comes before the first row.
func (r *Rows) KeepNames() { r.names = make(map[string]string) }

var active = []byte("active")

// Add takes one row of the manager's answer. A row without a valid id, one whose status is neither empty nor active, and
// a second one of the same tenant are skipped and counted. That a tenant is suspended, or is listed already, can be
// understood; a row without a valid id is of no use.
func (r *Rows) Add(row tenant.Row) {
	r.given++
	valid := tenant.ValidID(row.ID)
	if !valid {
		r.unusable++
	}
	if !valid || len(row.Status) > 0 && !bytes.EqualFold(row.Status, active) {
		r.skipped++
		return
	}
	r.build.add(row.ID)
	if r.names != nil {
		r.names[tenant.CanonicalID(string(row.ID))] = string(row.Name)
	}
}

// Seal makes a set of the rows. It takes about a tenth of a second for a million, and is best called where that holds up nobody. Rows that are
// sealed stay as they are.
func (r *Rows) Seal() {
	if r.build.n == 0 {
		return
	}
	made, twice := r.build.finish()
	r.set = Set{base: made, size: made.len()}
	r.skipped += uint64(twice) //nolint:gosec // a count is never negative
}

// fewRows is how many rows a list has at most that is believed although most of its rows are of no use.
const fewRows = 19

// Readable reports whether the answer is a list in our form. It is not where no row can be used, or less than half of
// twenty or more.
func (r *Rows) Readable() bool {
	return r.unusable == 0 || r.unusable < r.given && (r.given <= fewRows || 2*r.unusable <= r.given)
}

// Counts returns how many rows the answer has, and how many of them nobody can read.
func (r *Rows) Counts() (given, unusable int) { return r.given, r.unusable }

// Len is the number of tenants, once the rows are sealed.
func (r *Rows) Len() int { return r.set.Len() }

package tenanttest

import (
	"maps"
	"slices"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Backup is the data of a [Manager] at one moment.
type Backup struct{ world *world }

// Backup copies the data. What is done to the manager afterwards does not change the copy.
func (m *Manager) Backup() *Backup {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Backup{world: m.world.clone()}
}

// Restore makes the data what they were at the backup, under a new identity: a new epoch, with revisions from zero on. It
// announces nothing, empties the log, and may be done again with the same backup. The faults stay.
func (m *Manager) Restore(b *Backup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.world = b.world.clone()
	m.epoch, m.revision, m.log = laterEpoch(), 0, nil
}

func (w *world) clone() *world {
	out := newWorld()
	out.created = w.created
	for _, rec := range w.order {
		twin := *rec
		twin.Metadata = maps.Clone(rec.Metadata)
		twin.Associations = nil
		for _, a := range rec.Associations {
			same := *a
			twin.Associations = append(twin.Associations, &same)
		}
		out.order = append(out.order, &twin)
		out.tenants[tenant.CanonicalID(twin.ID)] = &twin
		out.slugs[twin.Slug] = &twin
	}
	out.order = slices.Clip(out.order)
	return out
}

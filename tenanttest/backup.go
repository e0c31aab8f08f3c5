package tenanttest

import (
	"maps"
	"slices"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Backup is the data of a [Manager] at one moment.
type Backup struct{ world *world }

// Backup returns a copy of the data. Later changes of the manager do not change the copy.
func (m *Manager) Backup() *Backup {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Backup{world: m.world.clone()}
}

// Restore sets the data back to the backup and begins a new epoch, with revisions from zero on. It announces nothing
// and empties the log of events. It may be called again with the same backup. Faults stay set.
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

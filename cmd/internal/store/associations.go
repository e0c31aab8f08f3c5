package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// Associations returns the associations of a tenant, oldest first, purged ones too, without their Connections. It returns
// a *[NotFound] when the tenant does not exist.
func (s *Store) Associations(ctx context.Context, id string) ([]Association, error) {
	out := []Association{}
	err := s.db.Read(ctx, "list associations", func(ctx context.Context, t sqldb.Tx) error {
		r, err := s.byID(ctx, t, id)
		if err != nil {
			return err
		}
		found, err := s.associations(ctx, t, r)
		for _, a := range found {
			out = append(out, *a)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Associate makes a tenant active for a service. It returns a *[NotFound], a *[Conflict] ALREADY_ASSOCIATED, an *[Inactive]
// while the tenant is suspended, because the event would announce as active what is not, and an *[Invalid].
func (s *Store) Associate(ctx context.Context, id, service string, n NewAssociation) (Association, error) {
	a, err := n.Association(service)
	if err != nil {
		return Association{}, err
	}
	err = s.change(ctx, "associate", func(ctx context.Context, c *change) error {
		r, err := c.record(ctx, id)
		if err != nil {
			return err
		}
		if err := c.checkNewService(ctx, service); err != nil {
			return err
		}
		return c.associate(r, a)
	})
	if err != nil {
		return Association{}, err
	}
	return *a, nil
}

// associate stores a in the place of one that was purged.
func (c *change) associate(r *record, a *Association) error {
	happened, err := r.Associate(a, c.now)
	if err != nil {
		return err
	}
	if err := c.insertAssociation(r, a); err != nil {
		return err
	}
	return c.announce(happened)
}

// SuspendAssociation suspends the association of a tenant with a service. It returns a *[NotFound], and a
// *[Conflict] ALREADY_SUSPENDED.
func (s *Store) SuspendAssociation(ctx context.Context, id, service string) error {
	return s.changeAssociation(ctx, "suspend association", id, service, (*lifecycle.Record).SuspendService)
}

// ReactivateAssociation ends that. It returns a *[NotFound], a *[Conflict] NOT_SUSPENDED, and an
// *[Inactive] while the tenant itself is suspended.
func (s *Store) ReactivateAssociation(ctx context.Context, id, service string) error {
	return s.change(ctx, "reactivate association", func(ctx context.Context, c *change) error {
		r, a, err := c.connected(ctx, id, service)
		if err != nil {
			return err
		}
		return c.changed(r, a, (*lifecycle.Record).ReactivateService)
	})
}

// Disassociate ends the association of a tenant with a service. One that is purged can still be seen, without its
// connection data. It returns a *[NotFound].
func (s *Store) Disassociate(ctx context.Context, id, service string, purge bool) error {
	return s.change(ctx, "disassociate", func(ctx context.Context, c *change) error {
		r, a, err := c.association(ctx, id, service)
		if err != nil {
			return err
		}
		a.UpdatedAt = c.now
		happened := r.Disassociate(a, purge)
		if !purge {
			c.dropAssociation(r, service)
			return c.announce(happened)
		}
		c.saveAssociation(r, a)
		if err := c.saveConnections(r, a); err != nil {
			return err
		}
		return c.announce(happened)
	})
}

// RotateCredentials announces new credentials. It returns a *[NotFound].
func (s *Store) RotateCredentials(ctx context.Context, id, service string) error {
	return s.changeAssociation(ctx, "rotate credentials", id, service, (*lifecycle.Record).Rotate)
}

// InvalidateCache asks the service to forget what it keeps of the tenant. The reason may be empty. It returns a
// *[NotFound], and an *[Invalid] INVALID_REASON.
func (s *Store) InvalidateCache(ctx context.Context, id, service, reason string) error {
	if err := lifecycle.CheckReason(reason); err != nil {
		return err
	}
	return s.changeAssociation(ctx, "invalidate a cache", id, service, func(r *lifecycle.Record, a *Association) ([]lifecycle.Happening, error) {
		return r.Invalidate(a, reason), nil
	})
}

// Services are the names of the services that have a tenant or a key that holds, sorted, at most limit of them.
func (s *Store) Services(ctx context.Context, limit int) ([]string, error) {
	out := []string{}
	err := s.db.Query(ctx, "list services", func(ctx context.Context, t sqldb.Tx) error {
		return t.Each(ctx, func(row sqldb.Row) error {
			var name string
			err := row.Scan(&name)
			out = append(out, name)
			return err
		}, `SELECT s.service FROM active_sets s WHERE s.env = ?1 AND EXISTS (SELECT 1 FROM associations a
				WHERE a.env = s.env AND a.service = s.service)
			UNION SELECT k.service FROM keys k WHERE k.env = ?1 AND k.service <> '' AND k.revoked_at IS NULL
			ORDER BY 1 LIMIT ?2`, s.env, limit)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Connections returns how the service reaches the tenant's databases. It returns a *[NotFound], and an
// *[Inactive] while the association, or the tenant, is not active.
func (s *Store) Connections(ctx context.Context, id, service string) (Tenant, Association, error) {
	var r *record
	var a *Association
	err := s.db.Read(ctx, "read connections", func(ctx context.Context, t sqldb.Tx) (err error) {
		if r, err = s.byID(ctx, t, id); err != nil {
			return err
		}
		if a, err = s.withConnections(ctx, t, r, service); err != nil {
			return err
		}
		return r.Usable(a)
	})
	if err == nil {
		err = s.noteReading(ctx, "get connections", "tenants/"+r.ID+"/associations/"+service)
	}
	if err != nil {
		return Tenant{}, Association{}, err
	}
	return r.Tenant, *a, nil
}

// UpdateConnections changes what p names and keeps the rest. It announces tenant.connections.updated for each module whose
// limits are others now, and tenant.cache.invalidate when what is reached is another. It returns a
// *[NotFound], and an *[Invalid] CONNECTIONS_TOO_LARGE.
func (s *Store) UpdateConnections(ctx context.Context, id, service string, p contract.Patch) (Tenant, Association, error) {
	var r *record
	var a *Association
	err := s.change(ctx, "update connections", func(ctx context.Context, c *change) (err error) {
		if r, a, err = c.connected(ctx, id, service); err != nil {
			return err
		}
		happened, err := r.Reconnect(a, p)
		if err != nil {
			return err
		}
		a.UpdatedAt = c.now
		c.saveAssociation(r, a)
		if err := c.saveConnections(r, a); err != nil {
			return err
		}
		return c.announce(happened)
	})
	if err != nil {
		return Tenant{}, Association{}, err
	}
	return r.Tenant, *a, nil
}

// changeAssociation gives fn the tenant and its association, and stores what fn made of the association.
func (s *Store) changeAssociation(
	ctx context.Context, what, id, service string, fn func(*lifecycle.Record, *Association) ([]lifecycle.Happening, error),
) error {
	return s.change(ctx, what, func(ctx context.Context, c *change) error {
		r, a, err := c.association(ctx, id, service)
		if err != nil {
			return err
		}
		return c.changed(r, a, fn)
	})
}

// changed stores what fn makes of a, and announces it.
func (c *change) changed(
	r *record, a *Association, fn func(*lifecycle.Record, *Association) ([]lifecycle.Happening, error),
) error {
	happened, err := fn(&r.Record, a)
	if err != nil {
		return err
	}
	a.UpdatedAt = c.now
	c.saveAssociation(r, a)
	return c.announce(happened)
}

// association does not find a purged one.
func (c *change) association(ctx context.Context, id, service string) (*record, *Association, error) {
	r, err := c.record(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	a, err := r.Association(service)
	return r, a, err
}

// connected is association with the connections.
func (c *change) connected(ctx context.Context, id, service string) (*record, *Association, error) {
	r, err := c.store.byID(ctx, c.Tx, id)
	if err != nil {
		return nil, nil, err
	}
	a, err := c.store.withConnections(ctx, c.Tx, r, service)
	if err == nil && a.Status == tenant.StatusPurged {
		err = &NotFound{Of: lifecycle.OfAssociation}
	}
	if err != nil {
		return nil, nil, err
	}
	r.Associations = []*Association{a}
	return r, a, nil
}

// checkNewService lets a name pass that is in use, whatever the rules are now.
func (c *change) checkNewService(ctx context.Context, service string) error {
	invalid := contract.CheckService(service)
	if invalid == nil {
		return nil
	}
	var known bool
	if err := c.Row(ctx, `SELECT EXISTS (SELECT 1 FROM associations WHERE env = ?1 AND service = ?2)
		OR EXISTS (SELECT 1 FROM keys WHERE env = ?1 AND service = ?2 AND revoked_at IS NULL)`,
		c.store.env, service).Scan(&known); err != nil {
		return err
	}
	if known {
		return nil
	}
	return invalid
}

// insertAssociation puts a in the place of one that was purged.
func (c *change) insertAssociation(r *record, a *Association) error {
	c.dropAssociation(r, a.Service)
	data, err := c.store.sealConnections(a.Connections, r.ID, a.Service)
	if err != nil {
		return err
	}
	c.write(`INSERT INTO associations (env, service, tenant, status, isolation_mode, settings, connections,
		rotations, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)`,
		c.store.env, a.Service, r.seq, a.Status, a.IsolationMode, data.settings, data.connections, a.Rotations, micros(a.CreatedAt))
	return nil
}

func (c *change) dropAssociation(r *record, service string) {
	c.write(`DELETE FROM associations WHERE env = ?1 AND service = ?2 AND tenant = ?3`, c.store.env, service, r.seq)
}

// saveAssociation leaves the connections alone.
func (c *change) saveAssociation(r *record, a *Association) {
	c.touch("tenants/" + r.ID + "/associations/" + a.Service) // even where it announces nothing
	c.write(`UPDATE associations SET status = ?1, rotations = ?2, updated_at = ?3 WHERE env = ?4 AND service = ?5 AND tenant = ?6`,
		a.Status, a.Rotations, micros(a.UpdatedAt), c.store.env, a.Service, r.seq)
}

func (c *change) saveConnections(r *record, a *Association) error {
	data, err := c.store.sealConnections(a.Connections, r.ID, a.Service)
	if err != nil {
		return err
	}
	if a.Status == tenant.StatusPurged {
		data.connections = nil
	}
	c.write(`UPDATE associations SET settings = ?1, connections = ?2 WHERE env = ?3 AND service = ?4 AND tenant = ?5`,
		data.settings, data.connections, c.store.env, a.Service, r.seq)
	return nil
}

// associations reads those of a tenant without their connections.
func (s *Store) associations(ctx context.Context, t sqldb.Tx, r *record) ([]*Association, error) {
	var out []*Association
	err := t.Each(ctx, func(row sqldb.Row) error {
		a := &Association{TenantID: r.ID}
		var created, changed int64
		if err := row.Scan(&a.Service, &a.Status, &a.IsolationMode, &a.Rotations, &created, &changed); err != nil {
			return err
		}
		a.CreatedAt, a.UpdatedAt = fromMicros(created), fromMicros(changed)
		out = append(out, a)
		return nil
	}, `SELECT service, status, isolation_mode, rotations, created_at, updated_at FROM associations
		WHERE env = ?1 AND tenant = ?2 ORDER BY created_at, service`, s.env, r.seq)
	return out, err
}

// withConnections reads one association whole.
func (s *Store) withConnections(ctx context.Context, t sqldb.Tx, r *record, service string) (*Association, error) {
	a := &Association{TenantID: r.ID, Service: service}
	var data sealed
	var created, changed int64
	row := t.Row(ctx, `SELECT status, isolation_mode, settings, connections, rotations, created_at, updated_at FROM associations
		WHERE env = ?1 AND service = ?2 AND tenant = ?3`, s.env, service, r.seq)
	err := row.Scan(&a.Status, &a.IsolationMode, &data.settings, &data.connections, &a.Rotations, &created, &changed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &NotFound{Of: lifecycle.OfAssociation}
	}
	if err != nil {
		return nil, err
	}
	a.CreatedAt, a.UpdatedAt = fromMicros(created), fromMicros(changed)
	if a.Connections, err = s.openConnections(data, r.ID, service); err != nil {
		return nil, err
	}
	return a, nil
}

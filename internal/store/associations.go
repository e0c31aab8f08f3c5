package store

import (
	"context"
	"database/sql"
	"errors"
)

// Associations returns the associations of a tenant, oldest first, purged ones too, without their Settings. It returns
// ErrNotFound when there is no such tenant.
func (s *Store) Associations(ctx context.Context, id string) ([]Association, error) {
	out := []Association{}
	err := s.read(ctx, "list associations", func(ctx context.Context, t tx) error {
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

// Associate makes a tenant active for a service. It returns ErrNotFound, a *[Conflict] ALREADY_ASSOCIATED, an *[Inactive]
// while the tenant is suspended, because the event would announce as active what is not, and an *[Invalid].
func (s *Store) Associate(ctx context.Context, id, service string, n NewAssociation) (Association, error) {
	if err := checkService(service); err != nil {
		return Association{}, err
	}
	if len(n.IsolationMode) > maxWord || !isText(n.IsolationMode) {
		return Association{}, &Invalid{Code: "INVALID_ISOLATION", Message: "isolationMode is too long or no text"}
	}
	var out Association
	err := s.change(ctx, "associate", func(ctx context.Context, c *change) error {
		r, err := c.record(ctx, id)
		if err != nil {
			return err
		}
		if err := r.mayAssociate(service); err != nil {
			return err
		}
		out = Association{
			TenantID: r.ID, Service: service, Status: active, IsolationMode: n.IsolationMode, CreatedAt: c.now, UpdatedAt: c.now,
			Settings: Settings{MaxOpenConns: n.MaxOpenConns, MaxIdleConns: n.MaxIdleConns},
		}
		if err := c.insertAssociation(ctx, r, &out); err != nil {
			return err
		}
		return c.announce(ctx, r, associated(&out))
	})
	if err != nil {
		return Association{}, err
	}
	return out, nil
}

// SuspendAssociation suspends the association of a tenant with a service. It returns ErrNotFound, ErrNoAssociation, and a
// *[Conflict] ALREADY_SUSPENDED.
func (s *Store) SuspendAssociation(ctx context.Context, id, service string) error {
	return s.changeAssociation(ctx, "suspend association", id, service, (*record).suspendService)
}

// ReactivateAssociation ends that. It returns ErrNotFound, ErrNoAssociation, a *[Conflict] NOT_SUSPENDED, and an
// *[Inactive] while the tenant itself is suspended.
func (s *Store) ReactivateAssociation(ctx context.Context, id, service string) error {
	return s.changeAssociation(ctx, "reactivate association", id, service, (*record).reactivateService)
}

// Disassociate ends the association of a tenant with a service. One that is purged can still be seen, without its
// connection data. It returns ErrNotFound and ErrNoAssociation.
func (s *Store) Disassociate(ctx context.Context, id, service string, purge bool) error {
	return s.change(ctx, "disassociate", func(ctx context.Context, c *change) error {
		r, a, err := c.association(ctx, id, service)
		if err != nil {
			return err
		}
		a.UpdatedAt = c.now
		happened := r.disassociate(a, purge)
		if purge {
			err = errors.Join(c.saveAssociation(ctx, r, a), c.saveSettings(ctx, r, a))
		} else {
			err = c.dropAssociation(ctx, r, service)
		}
		if err != nil {
			return err
		}
		return c.announce(ctx, r, happened)
	})
}

// RotateCredentials announces new credentials. It returns ErrNotFound and ErrNoAssociation.
func (s *Store) RotateCredentials(ctx context.Context, id, service string) error {
	return s.changeAssociation(ctx, "rotate credentials", id, service, (*record).rotate)
}

// Connections returns how the service reaches the tenant's databases. It returns ErrNotFound, ErrNoAssociation, and an
// *[Inactive] while the association, or the tenant, is not active.
func (s *Store) Connections(ctx context.Context, id, service string) (Tenant, Association, error) {
	var r *record
	var a *Association
	err := s.read(ctx, "read connections", func(ctx context.Context, t tx) (err error) {
		if r, err = s.byID(ctx, t, id); err != nil {
			return err
		}
		if a, err = s.withSettings(ctx, t, r, service); err != nil {
			return err
		}
		if a.Status != active {
			return &Inactive{Status: a.Status, Of: "association"}
		}
		return r.usable()
	})
	if err != nil {
		return Tenant{}, Association{}, err
	}
	return r.Tenant, *a, nil
}

// UpdateConnections changes what n sets and keeps the rest. It returns ErrNotFound, ErrNoAssociation, and an *[Invalid]
// when a field is no JSON.
func (s *Store) UpdateConnections(ctx context.Context, id, service string, n Settings) (Tenant, Association, error) {
	if err := n.check(); err != nil {
		return Tenant{}, Association{}, err
	}
	var r *record
	var a *Association
	err := s.change(ctx, "update connections", func(ctx context.Context, c *change) (err error) {
		if r, err = s.byID(ctx, c.tx, id); err != nil {
			return err
		}
		if a, err = s.withSettings(ctx, c.tx, r, service); err != nil {
			return err
		}
		if a.Status == purged {
			return ErrNoAssociation
		}
		a.Settings, a.UpdatedAt = a.Settings.merge(n), c.now
		if err := errors.Join(c.saveAssociation(ctx, r, a), c.saveSettings(ctx, r, a)); err != nil {
			return err
		}
		return c.announce(ctx, r, updated(service, a.Settings))
	})
	if err != nil {
		return Tenant{}, Association{}, err
	}
	return r.Tenant, *a, nil
}

// changeAssociation gives fn the tenant and its association, with its time of update set to now, and stores what fn made
// of the association.
func (s *Store) changeAssociation(
	ctx context.Context, what, id, service string, fn func(*record, *Association) ([]happening, error),
) error {
	return s.change(ctx, what, func(ctx context.Context, c *change) error {
		r, a, err := c.association(ctx, id, service)
		if err != nil {
			return err
		}
		a.UpdatedAt = c.now
		happened, err := fn(r, a)
		if err != nil {
			return err
		}
		if err := c.saveAssociation(ctx, r, a); err != nil {
			return err
		}
		return c.announce(ctx, r, happened...)
	})
}

// association does not find a purged one.
func (c *change) association(ctx context.Context, id, service string) (*record, *Association, error) {
	r, err := c.record(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	a, err := r.association(service)
	return r, a, err
}

// insertAssociation puts a in the place of one that was purged.
func (c *change) insertAssociation(ctx context.Context, r *record, a *Association) error {
	if err := c.dropAssociation(ctx, r, a.Service); err != nil {
		return err
	}
	sealed, err := c.store.sealJSON(a.Settings, settingsOf(r.ID, a.Service)...)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `INSERT INTO associations (env, service, tenant, status, isolation_mode, settings, rotations,
		created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)`,
		c.store.env, a.Service, r.seq, a.Status, a.IsolationMode, sealed, a.Rotations, micros(a.CreatedAt))
	return err
}

func (c *change) dropAssociation(ctx context.Context, r *record, service string) error {
	_, err := c.exec(ctx, `DELETE FROM associations WHERE env = ?1 AND service = ?2 AND tenant = ?3`,
		c.store.env, service, r.seq)
	return err
}

// saveAssociation leaves the settings alone.
func (c *change) saveAssociation(ctx context.Context, r *record, a *Association) error {
	_, err := c.exec(ctx, `UPDATE associations SET status = ?1, rotations = ?2, updated_at = ?3
		WHERE env = ?4 AND service = ?5 AND tenant = ?6`,
		a.Status, a.Rotations, micros(a.UpdatedAt), c.store.env, a.Service, r.seq)
	return err
}

func (c *change) saveSettings(ctx context.Context, r *record, a *Association) error {
	sealed, err := c.store.sealJSON(a.Settings, settingsOf(r.ID, a.Service)...)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `UPDATE associations SET settings = ?1 WHERE env = ?2 AND service = ?3 AND tenant = ?4`,
		sealed, c.store.env, a.Service, r.seq)
	return err
}

// associations reads those of a tenant without their settings.
func (s *Store) associations(ctx context.Context, t tx, r *record) ([]*Association, error) {
	var out []*Association
	err := t.each(ctx, func(rows *sql.Rows) error {
		a := &Association{TenantID: r.ID}
		var created, changed int64
		if err := rows.Scan(&a.Service, &a.Status, &a.IsolationMode, &a.Rotations, &created, &changed); err != nil {
			return err
		}
		a.CreatedAt, a.UpdatedAt = fromMicros(created), fromMicros(changed)
		out = append(out, a)
		return nil
	}, `SELECT service, status, isolation_mode, rotations, created_at, updated_at FROM associations
		WHERE env = ?1 AND tenant = ?2 ORDER BY created_at, service`, s.env, r.seq)
	return out, err
}

// withSettings reads one association whole.
func (s *Store) withSettings(ctx context.Context, t tx, r *record, service string) (*Association, error) {
	a := &Association{TenantID: r.ID, Service: service}
	var sealed []byte
	var created, changed int64
	row := t.row(ctx, `SELECT status, isolation_mode, settings, rotations, created_at, updated_at FROM associations
		WHERE env = ?1 AND service = ?2 AND tenant = ?3`, s.env, service, r.seq)
	err := row.Scan(&a.Status, &a.IsolationMode, &sealed, &a.Rotations, &created, &changed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoAssociation
	}
	if err != nil {
		return nil, err
	}
	a.CreatedAt, a.UpdatedAt = fromMicros(created), fromMicros(changed)
	if err := s.openJSON(&a.Settings, sealed, settingsOf(r.ID, service)...); err != nil {
		return nil, err
	}
	return a, nil
}

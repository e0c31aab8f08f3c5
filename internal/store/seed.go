package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Seed makes tenants that are active for a service, in one transaction: all of them or none. Each announces what it would
// if it were created and associated by itself. A slug that is taken is a *[Conflict] SLUG_TAKEN; the other errors are those
// of CreateTenant and Associate.
func (s *Store) Seed(ctx context.Context, service string, tenants []NewTenant) error {
	if err := checkService(service); err != nil {
		return err
	}
	return s.change(ctx, "seed tenants", func(ctx context.Context, c *change) error {
		if err := c.checkNewService(ctx, service); err != nil {
			return err
		}
		for _, n := range tenants {
			if err := c.seed(ctx, service, n); err != nil {
				return fmt.Errorf("tenant %.80q: %w", n.Name, err)
			}
		}
		return nil
	})
}

func (c *change) seed(ctx context.Context, service string, n NewTenant) error {
	n, err := n.check(c.store.environment)
	if err != nil {
		return err
	}
	if n.Slug, _, err = n.slugs(); err != nil {
		return err
	}
	if _, err := c.tenant(ctx, "t.slug = ?2", n.Slug); !errors.Is(err, ErrNotFound) {
		return cmp.Or(err, slugTaken(n.Slug))
	}
	t, err := c.create(ctx, n)
	if err != nil {
		return err
	}
	r, err := c.record(ctx, t.ID)
	if err != nil {
		return err
	}
	a := Association{TenantID: t.ID, Service: service, Status: active, IsolationMode: n.Isolation, CreatedAt: c.now, UpdatedAt: c.now}
	if err := c.insertAssociation(ctx, r, &a); err != nil {
		return err
	}
	return c.announce(ctx, r, associated(&a))
}

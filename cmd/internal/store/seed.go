package store

import (
	"context"
	"fmt"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
)

// Seed makes tenants that are active for a service, in one transaction: all of them or none. Each announces what it would
// if it were created and associated by itself. A slug that is taken is a *[Conflict] SLUG_TAKEN; the other errors are those
// of CreateTenant and Associate.
func (s *Store) Seed(ctx context.Context, service string, tenants []NewTenant) error {
	if err := contract.CheckKnownService(service); err != nil {
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
	n, err := n.Check(c.store.environment)
	if err != nil {
		return err
	}
	there, err := c.place(ctx, &n)
	if err != nil {
		return err
	}
	if there != nil {
		return lifecycle.SlugTaken(there.Slug)
	}
	r, err := c.create(n)
	if err != nil {
		return err
	}
	a, err := NewAssociation{IsolationMode: n.Isolation}.Association(service)
	if err != nil {
		return err
	}
	return c.associate(r, a)
}

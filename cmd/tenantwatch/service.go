package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// serviceCommand is what can be done to the association of a tenant with a service.
type serviceCommand struct {
	Associate serviceAssociateCommand `cmd:"" help:"Make a tenant active for a service."`

	Suspend serviceSuspendCommand `cmd:"" help:"Suspend a tenant for one service, until it is reactivated."`

	Reactivate serviceReactivateCommand `cmd:"" help:"End the suspension of a tenant for one service."`

	Disassociate serviceDisassociateCommand `cmd:"" help:"End the association of a tenant with a service."`
}

// associationArguments are the tenant and the service that a command is about.
type associationArguments struct {
	ID string `arg:"" help:"The tenant's id." name:"tenant-id"`

	Service string `arg:"" help:"The service."`
}

type serviceAssociateCommand struct {
	managerFlags
	associationArguments

	Isolation string `default:"shared" help:"How the tenant's data is kept apart in this service, such as shared or isolated."`

	MaxOpenConns int `help:"The largest number of connections of a pool. 0 lets the manager choose." placeholder:"N"`

	MaxIdleConns int `help:"The largest number of idle connections of a pool. 0 lets the manager choose." placeholder:"N"`

	NewService bool `help:"Accept a service that has no key and no tenant yet."`
}

// Help is what --help adds.
func (c *serviceAssociateCommand) Help() string {
	return `When the tenant is associated already, active and with the same isolation, nothing has to be done and the command ` +
		`succeeds. A service that has no key and no tenant yet is refused as a typing error: give --new-service if you mean it; ` +
		`on a terminal the command asks.`
}

// Run makes the association.
func (c *serviceAssociateCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		if err := c.meant(ctx, s); err != nil {
			return err
		}
		made, err := changed(c.associate(ctx, s), codeAlreadyAssociated)
		if err == nil && !made {
			err = c.same(ctx, s)
		}
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Service: c.Service, Status: tenant.StatusActive, Changed: made})
	})
}

func (c *serviceAssociateCommand) associate(ctx context.Context, s *session) error {
	_, err := s.CreateAssociation(ctx, c.ID, c.Service, managerapi.CreateAssociationRequest{
		IsolationMode: c.Isolation, MaxOpenConns: c.MaxOpenConns, MaxIdleConns: c.MaxIdleConns,
	})
	return err
}

// meant is an error when nobody knows the service, and nobody says that it is meant.
func (c *serviceAssociateCommand) meant(ctx context.Context, s *session) error {
	if c.NewService {
		return nil
	}
	unknown, near, err := s.isNew(ctx, c.Service)
	if err != nil || !unknown {
		return err
	}
	problem := fmt.Sprintf("no key and no tenant knows the service %s", shown(c.Service))
	if len(near) > 0 {
		problem += "; there is " + shown(strings.Join(near, ", "))
	}
	if !s.asks() || s.token.name == standardInput {
		return &failure{err: errors.New(problem), advice: "Check how it is spelled, or say --new-service."}
	}
	return s.confirm(ctx, problem+". If it is new, type its name again:", c.Service)
}

// same is nil when the association that is there is the one that is wanted.
func (c *serviceAssociateCommand) same(ctx context.Context, s *session) error {
	all, err := s.Admin().Associations(ctx, c.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(a managerapi.AssociationInfo) bool { return a.ServiceName == c.Service })
	switch {
	case i < 0:
		return fmt.Errorf("%w: it was there, and is no longer", managerapi.ErrConflict)
	case all[i].Status != tenant.StatusActive:
		if err := seen(ctx, s, c.ID); err != nil {
			return err
		}
		return &failure{
			err:    fmt.Errorf("%s is associated with %s already, and %s", shown(c.ID), shown(c.Service), shown(all[i].Status)),
			advice: "\"tenantwatch service reactivate\" ends a suspension.",
		}
	case all[i].IsolationMode != c.Isolation:
		return &failure{
			err: fmt.Errorf("%s is associated with %s already, with the isolation %s", shown(c.ID), shown(c.Service), shown(all[i].IsolationMode)),
			advice: "The isolation of an association does not change: \"tenantwatch service disassociate\" and associate it again, or say --isolation " +
				shown(all[i].IsolationMode) + ".",
		}
	case c.MaxOpenConns > 0 || c.MaxIdleConns > 0:
		_ = s.err.line("its limits stay as they are: PUT …/connections changes those")
	}
	return nil
}

// seen is an error while a tenant is suspended: no service sees it, though its associations are active.
func seen(ctx context.Context, s *session, id string) error {
	found, err := s.Tenant(ctx, id)
	if err != nil || found.Status == tenant.StatusActive {
		return err
	}
	return &failure{
		err:    fmt.Errorf("%s itself is %s, so that no service sees it", shown(id), shown(found.Status)),
		advice: "\"tenantwatch tenant reactivate\" ends that.",
	}
}

type serviceSuspendCommand struct {
	managerFlags
	associationArguments
}

// Run suspends the association.
func (c *serviceSuspendCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		made, err := changed(s.SuspendAssociation(ctx, c.ID, c.Service), codeAlreadySuspended)
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Service: c.Service, Status: tenant.StatusSuspended, Changed: made})
	})
}

type serviceReactivateCommand struct {
	managerFlags
	associationArguments
}

// Run reactivates the association.
func (c *serviceReactivateCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		made, err := changed(s.ReactivateAssociation(ctx, c.ID, c.Service), codeNotSuspended)
		if err == nil && !made {
			err = seen(ctx, s, c.ID)
		}
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Service: c.Service, Status: tenant.StatusActive, Changed: made})
	})
}

type serviceDisassociateCommand struct {
	managerFlags
	associationArguments
	sureFlags

	Purge bool `help:"Delete the tenant's data in this service too."`
}

// Help is what --help adds.
func (c *serviceDisassociateCommand) Help() string {
	return `When the tenant has no association with the service, nothing has to be done and the command succeeds. But it fails ` +
		`with --purge, and for a service that has no key and no tenant, because that is probably a typing error.`
}

// Run ends the association.
func (c *serviceDisassociateCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		end, status := s.DeleteAssociation, "disassociated"
		if c.Purge {
			end, status = s.PurgeAssociation, tenant.StatusPurged
			if err := c.sure(ctx, s, c.ID, "Purging what a tenant has in "+shown(c.Service)); err != nil {
				return err
			}
		}
		err := end(ctx, c.ID, c.Service)
		if noAssociation(err) && !c.Purge { // what was left of one that has ended without --purge is there still
			if unknown, _, problem := s.isNew(ctx, c.Service); problem == nil && !unknown {
				return s.tell(transition{ID: c.ID, Service: c.Service, Status: status})
			}
		}
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Service: c.Service, Status: status, Changed: true})
	})
}

// noAssociation reports whether the tenant is there, and has none with the service.
func noAssociation(err error) bool {
	answer, answered := errors.AsType[*managerapi.Error](err)
	return answered && errors.Is(err, managerapi.ErrNotFound) && answer.Code == codeNoAssociation
}

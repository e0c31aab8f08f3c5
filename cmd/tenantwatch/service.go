package main

import (
	"context"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// serviceCommand is what can be done to the association of a tenant with a service.
type serviceCommand struct {
	Associate serviceAssociateCommand `cmd:"" help:"Make a tenant active for a service."`

	Suspend serviceSuspendCommand `cmd:"" help:"Take a tenant away from one service, until it is reactivated."`

	Reactivate serviceReactivateCommand `cmd:"" help:"End that suspension."`

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

	Isolation string `default:"shared" help:"How its data is kept apart in this service, as in shared or isolated."`

	MaxOpenConns int `help:"The most connections of a pool; 0 is the manager's choice." placeholder:"N"`

	MaxIdleConns int `help:"The most idle ones of them; 0 is the manager's choice." placeholder:"N"`
}

// Run makes the association.
func (c *serviceAssociateCommand) Run(ctx context.Context, std streams) error {
	return c.do(ctx, std, func(s *session) error {
		made, err := s.CreateAssociation(ctx, c.ID, c.Service, managerapi.CreateAssociationRequest{
			IsolationMode: c.Isolation, MaxOpenConns: c.MaxOpenConns, MaxIdleConns: c.MaxIdleConns,
		})
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Service: c.Service, Status: made.Status, Changed: true})
	})
}

type serviceSuspendCommand struct {
	managerFlags
	associationArguments
}

// Run suspends the association.
func (c *serviceSuspendCommand) Run(ctx context.Context, std streams) error {
	return c.do(ctx, std, func(s *session) error {
		made, err := changed(s.SuspendAssociation(ctx, c.ID, c.Service), codeAlreadySuspended)
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Service: c.Service, Status: managerapi.StatusSuspended, Changed: made})
	})
}

type serviceReactivateCommand struct {
	managerFlags
	associationArguments
}

// Run reactivates the association.
func (c *serviceReactivateCommand) Run(ctx context.Context, std streams) error {
	return c.do(ctx, std, func(s *session) error {
		made, err := changed(s.ReactivateAssociation(ctx, c.ID, c.Service), codeNotSuspended)
		if err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Service: c.Service, Status: managerapi.StatusActive, Changed: made})
	})
}

type serviceDisassociateCommand struct {
	managerFlags
	associationArguments

	Purge bool `help:"Delete the tenant's data in this service too."`
}

// Run ends the association.
func (c *serviceDisassociateCommand) Run(ctx context.Context, std streams) error {
	return c.do(ctx, std, func(s *session) error {
		end, status := s.DeleteAssociation, "disassociated"
		if c.Purge {
			end, status = s.PurgeAssociation, managerapi.StatusPurged
		}
		if err := end(ctx, c.ID, c.Service); err != nil {
			return err
		}
		return s.tell(transition{ID: c.ID, Service: c.Service, Status: status, Changed: true})
	})
}

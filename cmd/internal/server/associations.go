package server

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// associationInput is the path of a call on one association.
type associationInput struct {
	ID      string `path:"id"      doc:"the tenant's id, in any spelling"`
	Service string `path:"service" doc:"the name of the service"`
}

// disassociateInput may ask for a purge. It embeds nothing, because huma passes over what is embedded and not exported.
type disassociateInput struct {
	ID      string `path:"id"      doc:"the tenant's id, in any spelling"`
	Service string `path:"service" doc:"the name of the service"`
	Purge   string `query:"purge"  doc:"true: the data goes too"`
}

// associationBody is a request to associate.
type associationBody struct{ store.NewAssociation }

func (associationBody) shownAs() reflect.Type {
	return reflect.TypeFor[managerapi.CreateAssociationRequest]()
}

// connectionsBody is a change of connections.
type connectionsBody struct{ patch contract.Patch }

// UnmarshalJSON returns a *contract.Invalid for what breaks a rule.
func (b *connectionsBody) UnmarshalJSON(data []byte) (err error) {
	b.patch, err = contract.ParsePatch(data)
	return err
}

func (connectionsBody) shownAs() reflect.Type {
	return reflect.TypeFor[managerapi.UpdateConnectionsRequest]()
}

// onAssociation is a change that is asked for by the association alone.
func onAssociation(do func(st *store.Store, ctx context.Context, id, service string) error) func(*Server, context.Context, *associationInput) (*nothing, error) {
	return func(s *Server, ctx context.Context, in *associationInput) (*nothing, error) {
		return nil, s.onAssociation(ctx, in, func() error { return do(s.store, ctx, in.ID, in.Service) })
	}
}

func (s *Server) associate(ctx context.Context, in *associationInput, req associationBody) (*reply[managerapi.Association], error) {
	var made store.Association
	err := s.onAssociation(ctx, in, func() (err error) {
		made, err = s.store.Associate(ctx, in.ID, in.Service, req.NewAssociation)
		return err
	})
	return &reply[managerapi.Association]{
		Status: http.StatusCreated, Body: managerapi.Association{ServiceName: made.Service, Status: made.Status},
	}, err
}

func (s *Server) disassociate(ctx context.Context, in *disassociateInput) (*nothing, error) {
	if in.Purge != "" && in.Purge != "true" && in.Purge != "false" { // a data loss that was meant, or one that was not
		return nil, refuse(http.StatusBadRequest, "INVALID_PURGE", "purge is true or false")
	}
	return nil, s.onAssociation(ctx, &associationInput{in.ID, in.Service}, func() error {
		return s.store.Disassociate(ctx, in.ID, in.Service, in.Purge == "true")
	})
}

// connections answers a key the same for a tenant that is not there and for one that is not its service's.
func (s *Server) connections(ctx context.Context, in *associationInput) (*reply[contract.ConnectionsView], error) {
	if !callerOf(ctx).sees(in.Service) {
		return nil, noTenant()
	}
	var t store.Tenant
	var a store.Association
	err := s.onAssociation(ctx, in, func() (err error) {
		t, a, err = s.store.Connections(ctx, in.ID, in.Service)
		return err
	})
	if err != nil {
		return nil, callerOf(ctx).hiding(err)
	}
	return connectionsOf(t, a), nil
}

func (s *Server) updateConnections(ctx context.Context, in *associationInput, req connectionsBody) (*reply[contract.ConnectionsView], error) {
	var t store.Tenant
	var a store.Association
	err := s.onAssociation(ctx, in, func() (err error) {
		t, a, err = s.store.UpdateConnections(ctx, in.ID, in.Service, req.patch)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connectionsOf(t, a), nil
}

func (s *Server) invalidateCache(ctx context.Context, in *associationInput, req managerapi.InvalidateCacheRequest) (*reply[managerapi.Association], error) {
	err := s.onAssociation(ctx, in, func() error { return s.store.InvalidateCache(ctx, in.ID, in.Service, req.Reason) })
	return &reply[managerapi.Association]{
		Status: http.StatusAccepted, Body: managerapi.Association{ServiceName: in.Service, Status: "invalidating"},
	}, err
}

func (s *Server) rotate(ctx context.Context, in *associationInput) (*reply[managerapi.Association], error) {
	err := s.onAssociation(ctx, in, func() error { return s.store.RotateCredentials(ctx, in.ID, in.Service) })
	return &reply[managerapi.Association]{
		Status: http.StatusAccepted, Body: managerapi.Association{ServiceName: in.Service, Status: "rotating"},
	}, err
}

// onAssociation runs a call of the store on one association, unless there can be none of that name.
func (s *Server) onAssociation(ctx context.Context, in *associationInput, do func() error) error {
	if err := checkTenantID(in.ID); err != nil {
		return err
	}
	if err := contract.CheckAskedService(in.Service); err != nil {
		return err
	}
	err := do()
	if missing, ok := errors.AsType[*store.NotFound](err); ok && missing.Of == store.OfAssociation && callerOf(ctx).service == "" {
		return s.naming(ctx, missing)
	}
	return err
}

// naming adds the services that there are for a caller that may know them, because a name is easily misspelled. If they cannot be read the
// answer is the same without them.
func (s *Server) naming(ctx context.Context, missing error) error {
	answer := explain(missing)
	answer.Services, _ = s.store.Services(ctx, managerapi.MaxServices)
	return answer
}

func connectionsOf(t store.Tenant, a store.Association) *reply[contract.ConnectionsView] {
	return &reply[contract.ConnectionsView]{Status: http.StatusOK, Body: t.View(a)}
}

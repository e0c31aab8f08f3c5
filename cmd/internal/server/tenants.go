package server

import (
	"context"
	"net/http"
	"reflect"
	"slices"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// tenantInput is the path of a call on one tenant.
type tenantInput struct {
	ID string `path:"id" doc:"the tenant's id, in any spelling"`
}

func describeCreate(a *api, c call) {
	a.describeAnswer(c, http.StatusOK, "the same tenant is there already", jsonType, reflect.TypeFor[managerapi.CreatedTenant]())
}

// onTenant is a change that is asked for by the tenant alone.
func onTenant(do func(st *store.Store, ctx context.Context, id string) error) func(*Server, context.Context, *tenantInput) (*nothing, error) {
	return func(s *Server, ctx context.Context, in *tenantInput) (*nothing, error) {
		if err := checkTenantID(in.ID); err != nil {
			return nil, err
		}
		return nil, do(s.store, ctx, in.ID)
	}
}

func (s *Server) createTenant(ctx context.Context, _ *nothing, req managerapi.CreateTenantRequest) (*reply[managerapi.CreatedTenant], error) {
	t, created, err := s.store.CreateTenant(ctx, store.NewTenant{
		Name: req.Name, Slug: req.Slug, Environment: req.Environment, Isolation: req.Isolation, Metadata: req.Metadata,
		Owner: store.Owner{
			Email: req.Owner.Email, PasswordHash: string(req.Owner.PasswordHash), EmailVerified: req.Owner.EmailVerified,
		},
	})
	if err != nil {
		return nil, err
	}
	answer := &reply[managerapi.CreatedTenant]{
		Status: http.StatusOK, Body: managerapi.CreatedTenant{ID: t.ID, Slug: t.Slug, Status: t.Status},
	}
	if created {
		answer.Status = http.StatusCreated
	}
	return answer, nil
}

// getTenant shows a key the tenants that are its service's, suspended ones too. One that no service has, or has any more, is for
// tokens: whoever creates a tenant shall find it before it is associated.
func (s *Server) getTenant(ctx context.Context, in *tenantInput) (*reply[managerapi.Tenant], error) {
	if err := checkTenantID(in.ID); err != nil {
		return nil, err
	}
	t, err := s.store.Tenant(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if who := callerOf(ctx); who.service != "" {
		associations, err := s.store.Associations(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		associations = slices.DeleteFunc(associations, func(a store.Association) bool { return a.Status == tenant.StatusPurged })
		mine := func(a store.Association) bool { return who.sees(a.Service) }
		unclaimed := len(associations) == 0 && who.token != ""
		if !unclaimed && !slices.ContainsFunc(associations, mine) {
			return nil, noTenant()
		}
	}
	return &reply[managerapi.Tenant]{Status: http.StatusOK, Body: viewTenant(t)}, nil
}

func (s *Server) updateTenant(ctx context.Context, in *tenantInput, req managerapi.UpdateTenantRequest) (*reply[managerapi.Tenant], error) {
	if err := checkTenantID(in.ID); err != nil {
		return nil, err
	}
	t, err := s.store.UpdateTenant(ctx, in.ID, store.TenantPatch{Name: req.Name, Metadata: req.Metadata})
	if err != nil {
		return nil, err
	}
	return &reply[managerapi.Tenant]{Status: http.StatusOK, Body: viewTenant(t)}, nil
}

func viewTenant(t store.Tenant) managerapi.Tenant {
	return managerapi.Tenant{
		ID: t.ID, Name: t.Name, Slug: t.Slug, Status: t.Status, Environment: t.Environment, Isolation: t.Isolation,
		Metadata: t.Metadata, CreatedAt: managerapi.Timestamp{Time: t.CreatedAt}, UpdatedAt: managerapi.Timestamp{Time: t.UpdatedAt},
	}
}

// checkTenantID keeps what cannot be a tenant's id away from the database.
func checkTenantID(id string) error {
	if !tenant.ValidID(id) {
		return noTenant()
	}
	return nil
}

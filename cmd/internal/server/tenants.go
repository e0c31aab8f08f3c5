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

const tenantPath = "/v1/tenants/{id}"

// tenantInput is the path of a call on one tenant.
type tenantInput struct {
	ID string `path:"id" doc:"the tenant's id, in any spelling"`
}

// tenantView is a tenant as clients see it.
type tenantView store.Tenant

func (s *Server) registerTenants(a *api) {
	create := call{method: "POST", path: "/v1/tenants", id: "create-tenant", summary: "Create a tenant", status: http.StatusCreated, tag: "tenants"}
	writeBody(a, create, s.createTenant)
	a.describeAnswer(create, http.StatusOK, "the same tenant is there already", jsonType, reflect.TypeFor[managerapi.CreatedTenant]())
	read(a, call{method: "GET", path: tenantPath, id: "get-tenant", summary: "Get a tenant", status: http.StatusOK, tag: "tenants"}, s.getTenant)
	writeBody(a, call{method: "PATCH", path: tenantPath, id: "update-tenant", summary: "Change a tenant", status: http.StatusOK, tag: "tenants"}, s.updateTenant)
	for _, change := range []struct {
		call

		make func(ctx context.Context, id string) error
	}{
		{call{method: "PUT", path: tenantPath + "/suspend", id: "suspend-tenant", summary: "Suspend a tenant"}, s.store.SuspendTenant},
		{call{method: "PUT", path: tenantPath + "/reactivate", id: "reactivate-tenant", summary: "End a tenant's suspension"}, s.store.ReactivateTenant},
		{call{method: "DELETE", path: tenantPath, id: "delete-tenant", summary: "Delete a tenant"}, s.store.DeleteTenant},
	} {
		change.status, change.tag = http.StatusNoContent, "tenants"
		write(a, change.call, func(ctx context.Context, in *tenantInput) (*nothing, error) {
			if err := checkTenantID(in.ID); err != nil {
				return nil, err
			}
			return nil, change.make(ctx, in.ID)
		})
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
func (s *Server) getTenant(ctx context.Context, in *tenantInput) (*reply[tenantView], error) {
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
	return &reply[tenantView]{Status: http.StatusOK, Body: tenantView(t)}, nil
}

func (s *Server) updateTenant(ctx context.Context, in *tenantInput, req managerapi.UpdateTenantRequest) (*reply[tenantView], error) {
	if err := checkTenantID(in.ID); err != nil {
		return nil, err
	}
	t, err := s.store.UpdateTenant(ctx, in.ID, store.TenantPatch{Name: req.Name, Metadata: req.Metadata})
	if err != nil {
		return nil, err
	}
	return &reply[tenantView]{Status: http.StatusOK, Body: tenantView(t)}, nil
}

// checkTenantID keeps what can be no tenant's id away from the database.
func checkTenantID(id string) error {
	if !tenant.ValidID(id) {
		return noTenant()
	}
	return nil
}

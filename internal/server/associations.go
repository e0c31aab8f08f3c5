package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

const associationPath = tenantPath + "/associations/{service}"

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

// connectionsView is what a service needs to reach a tenant's databases. The parts are the manager's to shape.
type connectionsView struct {
	ID                 string          `json:"id"`
	TenantSlug         string          `json:"tenantSlug"`
	TenantName         string          `json:"tenantName"`
	Service            string          `json:"service"`
	Status             string          `json:"status"`
	IsolationMode      string          `json:"isolationMode"`
	Databases          json.RawMessage `json:"databases,omitempty"          doc:"one entry for each module of the service"`
	RabbitMQ           json.RawMessage `json:"rabbitmq,omitempty"`
	ConnectionSettings json.RawMessage `json:"connectionSettings,omitempty"`
	CreatedAt          time.Time       `json:"createdAt"`
	UpdatedAt          time.Time       `json:"updatedAt"`
}

func (s *Server) registerAssociations(a *api) {
	const tag = "associations"
	writeBody(a, call{method: "POST", path: associationPath, id: "associate", summary: "Let a tenant use a service", status: http.StatusCreated, tag: tag}, s.associate)
	write(a, call{method: "DELETE", path: associationPath, id: "disassociate", summary: "End a tenant's use of a service", status: http.StatusNoContent, tag: tag}, s.disassociate)
	for _, change := range []struct {
		call

		make func(ctx context.Context, id, service string) error
	}{
		{call{path: "/suspend", id: "suspend-association", summary: "Suspend a tenant's use of a service"}, s.store.SuspendAssociation},
		{call{path: "/reactivate", id: "reactivate-association", summary: "End the suspension of a tenant's use of a service"}, s.store.ReactivateAssociation},
	} {
		change.method, change.path, change.status, change.tag = "PUT", associationPath+change.path, http.StatusNoContent, tag
		write(a, change.call, func(ctx context.Context, in *associationInput) (*nothing, error) {
			return nil, onAssociation(in, func() error { return change.make(ctx, in.ID, in.Service) })
		})
	}
	read(a, call{method: "GET", path: associationPath + "/connections", id: "get-connections", summary: "Get how a service reaches a tenant's databases", status: http.StatusOK, tag: tag}, s.connections)
	writeBody(a, call{method: "PUT", path: associationPath + "/connections", id: "update-connections", summary: "Change how a service reaches a tenant's databases", status: http.StatusOK, tag: tag}, s.updateConnections)
	write(a, call{method: "POST", path: associationPath + "/credentials/rotate", id: "rotate-credentials", summary: "Announce new credentials", status: http.StatusAccepted, tag: tag}, s.rotate)
}

func (s *Server) associate(ctx context.Context, in *associationInput, req managerapi.CreateAssociationRequest) (*reply[managerapi.Association], error) {
	if err := checkLimits(req.MaxOpenConns, req.MaxIdleConns); err != nil {
		return nil, err
	}
	var made store.Association
	err := onAssociation(in, func() (err error) {
		made, err = s.store.Associate(ctx, in.ID, in.Service, store.NewAssociation{
			IsolationMode: req.IsolationMode, MaxOpenConns: req.MaxOpenConns, MaxIdleConns: req.MaxIdleConns,
		})
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
	return nil, onAssociation(&associationInput{in.ID, in.Service}, func() error {
		return s.store.Disassociate(ctx, in.ID, in.Service, in.Purge == "true")
	})
}

// connections hides another service's association by the answer that a key gets for one that is not there.
func (s *Server) connections(ctx context.Context, in *associationInput) (*reply[connectionsView], error) {
	if !callerOf(ctx).sees(in.Service) {
		return nil, noAssociation()
	}
	var t store.Tenant
	var a store.Association
	err := onAssociation(in, func() (err error) {
		t, a, err = s.store.Connections(ctx, in.ID, in.Service)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connectionsOf(t, a)
}

func (s *Server) updateConnections(ctx context.Context, in *associationInput, req managerapi.UpdateConnectionsRequest) (*reply[connectionsView], error) {
	settings, err := settingsOf(req)
	if err != nil {
		return nil, err
	}
	var t store.Tenant
	var a store.Association
	err = onAssociation(in, func() (err error) {
		t, a, err = s.store.UpdateConnections(ctx, in.ID, in.Service, settings)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connectionsOf(t, a)
}

func (s *Server) rotate(ctx context.Context, in *associationInput) (*reply[managerapi.Association], error) {
	err := onAssociation(in, func() error { return s.store.RotateCredentials(ctx, in.ID, in.Service) })
	return &reply[managerapi.Association]{
		Status: http.StatusAccepted, Body: managerapi.Association{ServiceName: in.Service, Status: "rotating"},
	}, err
}

// onAssociation runs a call of the store on one association, unless there can be none of that name.
func onAssociation(in *associationInput, do func() error) error {
	if err := checkTenantID(in.ID); err != nil {
		return err
	}
	if strings.TrimSpace(in.Service) == "" || !isName(in.Service) {
		return refuse(http.StatusBadRequest, "INVALID_SERVICE", "the service has no name, or none that can be one")
	}
	return aboutTenant(do())
}

func connectionsOf(t store.Tenant, a store.Association) (*reply[connectionsView], error) {
	settings := a.Settings.Connection
	if len(settings) == 0 {
		var err error
		if settings, err = limitsOf(a.Settings); err != nil {
			return nil, err
		}
	}
	return &reply[connectionsView]{Status: http.StatusOK, Body: connectionsView{
		ID: t.ID, TenantSlug: t.Slug, TenantName: t.Name, Service: a.Service, Status: a.Status,
		IsolationMode: a.IsolationMode, Databases: a.Settings.Databases, RabbitMQ: a.Settings.RabbitMQ,
		ConnectionSettings: settings, CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
	}}, nil
}

// limitsOf are the pool limits as settings, for an association that was given nothing else. Nil for none.
func limitsOf(settings store.Settings) ([]byte, error) {
	if settings.MaxOpenConns == 0 && settings.MaxIdleConns == 0 {
		return nil, nil
	}
	data, err := json.Marshal(struct {
		MaxOpenConns int `json:"maxOpenConns,omitempty"`
		MaxIdleConns int `json:"maxIdleConns,omitempty"`
	}{settings.MaxOpenConns, settings.MaxIdleConns})
	if err != nil {
		return nil, fmt.Errorf("write the pool limits: %w", err)
	}
	return data, nil
}

func settingsOf(req managerapi.UpdateConnectionsRequest) (store.Settings, error) {
	if err := checkLimits(req.MaxOpenConns, req.MaxIdleConns); err != nil {
		return store.Settings{}, err
	}
	settings := store.Settings{
		Module: req.Module, MaxOpenConns: req.MaxOpenConns, MaxIdleConns: req.MaxIdleConns,
		StatementTimeout: given(req.StatementTimeout), RabbitMQ: given(req.RabbitMQ), Connection: given(req.ConnectionSettings),
	}
	if req.Databases == nil {
		return settings, nil
	}
	var err error
	if settings.Databases, err = json.Marshal(req.Databases); err != nil {
		return store.Settings{}, fmt.Errorf("write the databases: %w", err)
	}
	return settings, nil
}

// given takes null for what is not there.
func given(value []byte) []byte {
	if string(value) == "null" {
		return nil
	}
	return value
}

func checkLimits(limits ...int) error {
	for _, limit := range limits {
		if limit < 0 {
			return refuse(http.StatusBadRequest, "INVALID_LIMIT", "a limit of connections cannot be negative")
		}
	}
	return nil
}

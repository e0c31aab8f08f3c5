package tenanttest

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// defaultModule is the module that events name when the test named none.
const defaultModule = "default"

func (w *world) associate(rec *record, service string, req managerapi.CreateAssociationRequest, now time.Time) ([]happening, error) {
	if err := checkService(service); err != nil {
		return nil, err
	}
	if a := rec.association(service); a != nil && a.status != managerapi.StatusPurged {
		return nil, refuse(http.StatusConflict, "ALREADY_ASSOCIATED", "the tenant is associated with this service already")
	}
	if err := rec.usable(); err != nil {
		return nil, err
	}
	rec.drop(service)
	a := &association{
		service: service, status: managerapi.StatusActive, isolation: req.IsolationMode, createdAt: now, updatedAt: now,
		connections: managerapi.UpdateConnectionsRequest{MaxOpenConns: req.MaxOpenConns, MaxIdleConns: req.MaxIdleConns},
	}
	rec.associations = append(rec.associations, a)
	return []happening{rec.happening(tenant.EventServiceAssociated, tenant.ServiceAssociated{
		ServiceName: service, IsolationMode: req.IsolationMode, ConnectionSettings: json.RawMessage(a.settings()),
	}, rec.entered(service))}, nil
}

func (w *world) suspendService(rec *record, a *association) ([]happening, error) {
	if a.status == managerapi.StatusSuspended {
		return nil, refuse(http.StatusConflict, "ALREADY_SUSPENDED", "the association is suspended already")
	}
	suspended := rec.happening(tenant.EventServiceSuspended, tenant.ServiceSuspended{
		ServiceName: a.service, PreviousStatus: a.status,
	}, rec.leave(a)...)
	a.status = managerapi.StatusSuspended
	return []happening{suspended}, nil
}

func (w *world) reactivateService(rec *record, a *association) ([]happening, error) {
	if a.status != managerapi.StatusSuspended {
		return nil, refuse(http.StatusConflict, "NOT_SUSPENDED", "the association is not suspended")
	}
	if err := rec.usable(); err != nil {
		return nil, err
	}
	a.status = managerapi.StatusActive
	return []happening{rec.happening(tenant.EventServiceReactivated, tenant.ServiceReactivated{
		ServiceName: a.service, PreviousStatus: managerapi.StatusSuspended,
	}, rec.entered(a.service))}, nil
}

// disassociate leaves a purged association behind as purged, so that its connections answer 403 and not 404.
func (w *world) disassociate(rec *record, a *association, purge bool) ([]happening, error) {
	rows := rec.leave(a)
	if purge {
		a.status = managerapi.StatusPurged
		purged := tenant.ServicePurged{ServiceName: a.service}
		return []happening{rec.happening(tenant.EventServicePurged, purged, rows...)}, nil
	}
	rec.drop(a.service)
	gone := tenant.ServiceDisassociated{ServiceName: a.service, PreserveData: true}
	return []happening{rec.happening(tenant.EventServiceDisassociated, gone, rows...)}, nil
}

// rotate announces new credentials. They are no part of any list.
func (w *world) rotate(rec *record, a *association) ([]happening, error) {
	a.rotations++
	path := "tenants/" + rec.Slug + "/" + a.service + "/postgresql/v" + strconv.Itoa(a.rotations+1)
	return []happening{rec.happening(tenant.EventCredentialsRotated, tenant.CredentialsRotated{
		ServiceName: a.service, CredentialType: "postgresql", NewSecretPath: path,
	})}, nil
}

func (w *world) updateConnections(rec *record, a *association, req managerapi.UpdateConnectionsRequest) ([]happening, error) {
	if _, err := json.Marshal(req); err != nil {
		return nil, refuse(http.StatusBadRequest, "INVALID_BODY", "a field of the connections is no JSON")
	}
	a.merge(req)
	module := a.connections.Module
	if module == "" {
		module = defaultModule
	}
	return []happening{rec.happening(tenant.EventConnectionsUpdated, tenant.ConnectionsUpdated{
		ServiceName: a.service, Module: module, MaxOpenConns: a.connections.MaxOpenConns,
		MaxIdleConns: a.connections.MaxIdleConns, StatementTimeout: a.connections.StatementTimeout,
	})}, nil
}

func (w *world) invalidateCache(rec *record, a *association, reason string) ([]happening, error) {
	invalidate := tenant.CacheInvalidate{ServiceName: a.service, Reason: reason}
	return []happening{rec.happening(tenant.EventCacheInvalidate, invalidate)}, nil
}

// connections is what the service may see; a tenant or an association that is not active is a 403 with its status.
func (rec *record) connections(a *association) (managerapi.Connections, error) {
	if a.status != managerapi.StatusActive {
		return managerapi.Connections{}, denied("the association is "+a.status, a.status)
	}
	if err := rec.usable(); err != nil {
		return managerapi.Connections{}, err
	}
	return rec.connectionsView(a), nil
}

func (rec *record) connectionsView(a *association) managerapi.Connections {
	settings := a.connections.ConnectionSettings
	if len(settings) == 0 {
		settings = a.settings()
	}
	return managerapi.Connections{
		ID: rec.ID, TenantSlug: rec.Slug, TenantName: rec.Name, Service: a.service, Status: a.status,
		IsolationMode: a.isolation, Databases: maps.Clone(a.connections.Databases),
		RabbitMQ:           slices.Clone(a.connections.RabbitMQ),
		ConnectionSettings: slices.Clone(settings),
		CreatedAt:          managerapi.Timestamp{Time: a.createdAt}, UpdatedAt: managerapi.Timestamp{Time: a.updatedAt},
	}
}

// usable refuses what would announce a tenant as active while it is not.
func (rec *record) usable() error {
	if rec.Status != managerapi.StatusActive {
		return denied("the tenant is "+rec.Status, rec.Status)
	}
	return nil
}

func checkService(service string) error {
	if strings.TrimSpace(service) == "" {
		return refuse(http.StatusBadRequest, "INVALID_SERVICE", "the service has no name")
	}
	return nil
}

func denied(message, status string) *managerapi.Error {
	err := refuse(http.StatusForbidden, "TENANT_ACCESS_DENIED", message)
	err.TenantStatus = status
	return err
}

func (rec *record) drop(service string) {
	rec.associations = slices.DeleteFunc(rec.associations, func(a *association) bool { return a.service == service })
}

// leave is to be called while rec may still be listed.
func (rec *record) leave(a *association) []rowChange {
	if !rec.listed(a) {
		return nil
	}
	return []rowChange{rec.left(a.service)}
}

// settings is nil when the test has set none.
func (a *association) settings() managerapi.SecretJSON {
	if a.connections.MaxOpenConns == 0 && a.connections.MaxIdleConns == 0 {
		return nil
	}
	return managerapi.SecretJSON(encode(struct {
		MaxOpenConns int `json:"maxOpenConns,omitempty"`
		MaxIdleConns int `json:"maxIdleConns,omitempty"`
	}{a.connections.MaxOpenConns, a.connections.MaxIdleConns}))
}

// merge takes over what req says and keeps the rest.
func (a *association) merge(req managerapi.UpdateConnectionsRequest) {
	c := &a.connections
	c.Module = cmp.Or(req.Module, c.Module)
	c.MaxOpenConns = cmp.Or(req.MaxOpenConns, c.MaxOpenConns)
	c.MaxIdleConns = cmp.Or(req.MaxIdleConns, c.MaxIdleConns)
	if len(req.StatementTimeout) > 0 {
		c.StatementTimeout = slices.Clone(req.StatementTimeout)
	}
	if req.Databases != nil {
		c.Databases = maps.Clone(req.Databases)
	}
	if len(req.RabbitMQ) > 0 {
		c.RabbitMQ = slices.Clone(req.RabbitMQ)
	}
	if len(req.ConnectionSettings) > 0 {
		c.ConnectionSettings = slices.Clone(req.ConnectionSettings)
	}
}

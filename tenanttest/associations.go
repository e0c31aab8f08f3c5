package tenanttest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// newAssociation is what the body of a POST asks for.
type newAssociation struct {
	isolation   string
	connections contract.Connections
}

// readAssociation takes the body as it came: what the request of managerapi has no field for is kept too.
func readAssociation(body []byte) (newAssociation, error) {
	patch, err := contract.ParseNew(body)
	if err != nil {
		return newAssociation{}, inOurWords(err)
	}
	var req struct {
		IsolationMode string `json:"isolationMode"`
		MaxOpenConns  int    `json:"maxOpenConns"`
		MaxIdleConns  int    `json:"maxIdleConns"`
	}
	if err := tenant.Unmarshal(body, &req); err != nil {
		return newAssociation{}, refuse(http.StatusBadRequest, "INVALID_BODY", err.Error())
	}
	connections, err := contract.NewConnections(contract.LimitsOf(req.MaxOpenConns, req.MaxIdleConns)).Merge(patch)
	return newAssociation{req.IsolationMode, connections}, inOurWords(err)
}

func (w *world) associate(rec *record, service string, n newAssociation, now time.Time) ([]happening, error) {
	if err := w.checkService(service); err != nil {
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
		service: service, status: managerapi.StatusActive, isolation: n.isolation, createdAt: now, updatedAt: now,
		connections: n.connections,
	}
	rec.associations = append(rec.associations, a)
	payload := n.connections.Associated(tenant.ServiceAssociated{ServiceName: service, IsolationMode: n.isolation})
	return []happening{rec.happening(tenant.EventServiceAssociated, payload, rec.entered(service))}, nil
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
	return []happening{rec.reactivated(a)}, nil
}

func (rec *record) reactivated(a *association) happening {
	payload := a.connections.Reactivated(tenant.ServiceReactivated{ServiceName: a.service, PreviousStatus: managerapi.StatusSuspended})
	return rec.happening(tenant.EventServiceReactivated, payload, rec.entered(a.service))
}

// disassociate leaves a purged association behind as purged, so that its connections answer 403 and not 404.
func (w *world) disassociate(rec *record, a *association, purge bool) ([]happening, error) {
	rows := rec.leave(a)
	if purge {
		a.status, a.connections = managerapi.StatusPurged, contract.Connections{}
		purged := tenant.ServicePurged{ServiceName: a.service}
		return []happening{rec.happening(tenant.EventServicePurged, purged, rows...)}, nil
	}
	rec.drop(a.service)
	gone := tenant.ServiceDisassociated{ServiceName: a.service, PreserveData: true}
	return []happening{rec.happening(tenant.EventServiceDisassociated, gone, rows...)}, nil
}

// rotate announces new credentials. They are no part of any list.
func (w *world) rotate(rec *record, a *association) ([]happening, error) {
	const credential = "postgresql"
	announced := rec.happening(tenant.EventCredentialsRotated, nil)
	announced.numbered = func(revision uint64) any {
		return tenant.CredentialsRotated{
			ServiceName: a.service, CredentialType: credential,
			NewSecretPath: contract.SecretPath(rec.ID, a.service, credential, revision),
		}
	}
	return []happening{announced}, nil
}

func (w *world) updateConnections(rec *record, a *association, patch contract.Patch) ([]happening, error) {
	after, err := a.connections.Merge(patch)
	if err != nil {
		return nil, inOurWords(err)
	}
	announcement := contract.Announce(a.connections, after)
	a.connections = after
	var out []happening
	for _, updated := range announcement.Limits {
		updated.ServiceName = a.service
		out = append(out, rec.happening(tenant.EventConnectionsUpdated, updated))
	}
	if announcement.Rebuild {
		out = append(out, rec.invalidated(a, contract.ReasonConnections))
	}
	return out, nil
}

func (w *world) invalidateCache(rec *record, a *association, reason string) ([]happening, error) {
	return []happening{rec.invalidated(a, reason)}, nil
}

func (rec *record) invalidated(a *association, reason string) happening {
	return rec.happening(tenant.EventCacheInvalidate, tenant.CacheInvalidate{ServiceName: a.service, Reason: reason})
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
	fields := map[string]json.RawMessage{}
	for _, m := range a.connections.Fields().Object() {
		fields[m.Name] = m.Value
	}
	var view managerapi.Connections
	_ = json.Unmarshal(encode(fields), &view) // what was put has the shapes of the contract
	view.ID, view.TenantSlug, view.TenantName = rec.ID, rec.Slug, rec.Name
	view.Service, view.Status, view.IsolationMode = a.service, a.status, a.isolation
	view.CreatedAt, view.UpdatedAt = managerapi.Timestamp{Time: a.createdAt}, managerapi.Timestamp{Time: a.updatedAt}
	return view
}

// usable refuses what would announce a tenant as active while it is not.
func (rec *record) usable() error {
	if rec.Status != managerapi.StatusActive {
		return denied("the tenant is "+rec.Status, rec.Status)
	}
	return nil
}

// checkService lets a name pass that is in use already, as the names of before there were rules are.
func (w *world) checkService(service string) error {
	err := contract.CheckService(service)
	known := func(a *association) bool { return a.service == service }
	if err == nil || slices.ContainsFunc(w.order, func(rec *record) bool { return slices.ContainsFunc(rec.associations, known) }) {
		return nil
	}
	return inOurWords(err)
}

// inOurWords makes of a broken rule the answer to it.
func inOurWords(err error) error {
	if broken, ok := errors.AsType[*contract.Invalid](err); ok {
		return refuse(http.StatusBadRequest, broken.Code, broken.Message)
	}
	return err
}

func notJSON() error {
	return refuse(http.StatusBadRequest, "INVALID_BODY", "a field of the connections is no JSON")
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

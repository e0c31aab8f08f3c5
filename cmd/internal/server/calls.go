package server

import (
	"net/http"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// access is who may make a call.
type access int

const (
	byToken access = iota // an administrator, by a token; also for a call that says nothing of it
	byKey                 // a service by its key, or an administrator
	anybody
)

// call is a row of the table.
type call struct {
	method, path string
	// id is its name in the OpenAPI document, in the audit, in the log and in the metrics. Empty: it is in none of them.
	id           string
	summary, tag string // for the document
	status       int    // of success
	access       access
	bare         bool // the body may be left out
	conflicts    bool // it can be refused because of the state of things
	inactive     bool // it can be refused because a tenant or an association is not active
	serve        route
	describe     func(a *api, c call) // what the document says beyond the types; nil is nothing
}

// route has the requests of a call served.
type route func(a *api, c call)

const (
	tenantPath      = "/v1/tenants/{id}"
	associationPath = tenantPath + "/associations/{service}"
	adminPath       = "/v1/admin/"
	readyPath       = "/readyz"

	tagTenants, tagAssociations, tagEvents, tagAdmin = "tenants", "associations", "events", "admin"
)

// calls are all calls of the API. Routing, who may call, the verbs of the audit, the document and the tests of all calls go by them.
var calls = []call{
	{method: "POST", path: "/v1/tenants", id: "create-tenant", summary: "Create a tenant", tag: tagTenants, status: 201, conflicts: true, serve: writeBody((*Server).createTenant), describe: describeCreate},
	{method: "GET", path: tenantPath, id: "get-tenant", summary: "Get a tenant", tag: tagTenants, status: 200, access: byKey, serve: read((*Server).getTenant)},
	{method: "PATCH", path: tenantPath, id: "update-tenant", summary: "Change a tenant", tag: tagTenants, status: 200, serve: writeBody((*Server).updateTenant)},
	{method: "PUT", path: tenantPath + "/suspend", id: "suspend-tenant", summary: "Suspend a tenant", tag: tagTenants, status: 204, conflicts: true, serve: write(onTenant((*store.Store).SuspendTenant))},
	{method: "PUT", path: tenantPath + "/reactivate", id: "reactivate-tenant", summary: "End a tenant's suspension", tag: tagTenants, status: 204, conflicts: true, serve: write(onTenant((*store.Store).ReactivateTenant))},
	{method: "DELETE", path: tenantPath, id: "delete-tenant", summary: "Delete a tenant", tag: tagTenants, status: 204, serve: write(onTenant((*store.Store).DeleteTenant))},

	{method: "POST", path: associationPath, id: "associate", summary: "Let a tenant use a service", tag: tagAssociations, status: 201, conflicts: true, inactive: true, serve: writeBody((*Server).associate)},
	{method: "DELETE", path: associationPath, id: "disassociate", summary: "End a tenant's use of a service", tag: tagAssociations, status: 204, serve: write((*Server).disassociate)},
	{method: "PUT", path: associationPath + "/suspend", id: "suspend-association", summary: "Suspend a tenant's use of a service", tag: tagAssociations, status: 204, conflicts: true, serve: write(onAssociation((*store.Store).SuspendAssociation))},
	{method: "PUT", path: associationPath + "/reactivate", id: "reactivate-association", summary: "End the suspension of a tenant's use of a service", tag: tagAssociations, status: 204, conflicts: true, inactive: true, serve: write(onAssociation((*store.Store).ReactivateAssociation))},
	{method: "GET", path: associationPath + "/connections", id: "get-connections", summary: "Get how a service reaches a tenant's databases", tag: tagAssociations, status: 200, access: byKey, inactive: true, serve: read((*Server).connections)},
	{method: "PUT", path: associationPath + "/connections", id: "update-connections", summary: "Change how a service reaches a tenant's databases", tag: tagAssociations, status: 200, serve: writeBody((*Server).updateConnections)},
	{method: "POST", path: associationPath + "/cache/invalidate", id: "invalidate-cache", summary: "Ask a service to forget what it keeps of a tenant", tag: tagAssociations, status: 202, bare: true, serve: writeBody((*Server).invalidateCache)},
	{method: "POST", path: associationPath + "/credentials/rotate", id: "rotate-credentials", summary: "Announce new credentials", tag: tagAssociations, status: 202, serve: write((*Server).rotate)},

	{method: "GET", path: "/v1/tenants/active", id: "list-active-tenants", summary: "List the tenants that are active for a service", tag: tagTenants, status: 200, access: byKey, serve: stream((*Server).serveList), describe: describeList},
	{method: "GET", path: changesPath, id: "list-changes", summary: "List what has changed of a service's list since a version", tag: tagTenants, status: 200, access: byKey, serve: stream((*Server).serveChanges), describe: describeChanges},
	{method: "GET", path: eventsPath, id: "stream-events", summary: "Follow the events that concern a service", tag: tagEvents, status: 200, access: byKey, serve: stream((*Server).serveEvents), describe: describeEvents},

	{method: "GET", path: adminPath + "tenants", id: "list-tenants", summary: "List and search tenants", tag: tagAdmin, status: 200, serve: read((*Server).listTenants)},
	{method: "GET", path: adminPath + "tenants/{id}/associations", id: "list-associations", summary: "List the associations of a tenant", tag: tagAdmin, status: 200, serve: read((*Server).listAssociations)},
	{method: "GET", path: adminPath + "keys", id: "list-keys", summary: "List the keys of services", tag: tagAdmin, status: 200, serve: read((*Server).listKeys)},
	{method: "POST", path: adminPath + "keys", id: "create-key", summary: "Make a key for a service", tag: tagAdmin, status: 201, conflicts: true, serve: writeBody((*Server).createKey)},
	{method: "DELETE", path: adminPath + "keys/{id}", id: "revoke-key", summary: "Revoke a key", tag: tagAdmin, status: 204, serve: write((*Server).revokeKey)},
	{method: "GET", path: adminPath + "tokens", id: "list-tokens", summary: "List the tokens of administrators", tag: tagAdmin, status: 200, serve: read((*Server).listTokens)},
	{method: "POST", path: adminPath + "tokens", id: "create-token", summary: "Make a token", tag: tagAdmin, status: 201, serve: writeBody((*Server).createToken)},
	{method: "DELETE", path: adminPath + "tokens/{id}", id: "revoke-token", summary: "Revoke a token", tag: tagAdmin, status: 204, conflicts: true, serve: write((*Server).revokeToken)},
	{method: "GET", path: adminPath + "outbox", id: "get-outbox", summary: "See how far the publishing of events is", tag: tagAdmin, status: 200, serve: read((*Server).outbox)},
	{method: "GET", path: adminPath + "outbox/quarantined", id: "list-quarantined-events", summary: "List the events that were given up", tag: tagAdmin, status: 200, serve: read((*Server).listQuarantined)},
	{method: "POST", path: adminPath + "outbox/quarantined/{revision}/retry", id: "retry-event", summary: "Try again to publish an event that was given up", tag: tagAdmin, status: 204, conflicts: true, serve: write((*Server).retryEvent)},
	{method: "GET", path: adminPath + "events", id: "list-events", summary: "List events by revision", tag: tagAdmin, status: 200, serve: read((*Server).listEvents), describe: describeAdminEvents},

	{method: "GET", path: "/openapi.json", status: 200, access: anybody, serve: plain((*Server).serveDocument)},
	{method: "GET", path: "/healthz", status: 200, access: anybody, serve: plain((*Server).serveHealth)},
	{method: "GET", path: readyPath, status: 200, access: anybody, serve: plain((*Server).serveReady)},
}

// callAt finds a call by its pattern, as the mux has it.
var callAt = func() map[string]call {
	out := map[string]call{}
	for _, c := range calls {
		out[c.pattern()] = c
	}
	return out
}()

func (c call) pattern() string { return c.method + " " + c.path }

// accessTo says who may make a request. What is not a call is not there, which only somebody learns that could read, or change, if it
// were.
func accessTo(method, pattern string) access {
	if c, there := callAt[pattern]; there {
		return c.access
	}
	if method == http.MethodGet || method == http.MethodHead {
		return byKey
	}
	return byToken
}

package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func ledgerOf(id string) string { return "/v1/tenants/" + id + "/associations/ledger" }

// TestX14OurClientPutsAndGetsEveryKindOfConnection goes through the client, the server and the store, and back.
func TestX14OurClientPutsAndGetsEveryKindOfConnection(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	client := clientOf(t, h)
	raw := func(text string) managerapi.SecretJSON { return managerapi.SecretJSON(text) }
	put := managerapi.UpdateConnectionsRequest{
		Databases: map[string]managerapi.DatabaseConnections{"m": {
			PostgreSQL: raw(`{"host":"a"}`), PostgreSQLReplica: raw(`{"host":"b"}`), MongoDB: raw(`{"uri":"c"}`),
			ConnectionSettings: raw(`{"maxOpenConns":3}`), Other: map[string]managerapi.SecretJSON{"redis": raw(`{"host":"d"}`)},
		}},
		RabbitMQ: raw(`{"m":{"host":"e"}}`), Messaging: raw(`{"rabbitmq":{"host":"f"}}`), Streaming: raw(`{"m":{"kafka":{"brokers":["g"]}}}`),
		ConnectionSettings: raw(`{"maxIdleConns":4}`), Other: map[string]managerapi.SecretJSON{"zone": raw(`"eu"`)},
		SecretPaths: map[string]tenant.SecretPaths{"m": {MongoDB: "p"}}, MessagingConfig: &tenant.MessagingConfig{RabbitMQSecretPath: "q"},
	}
	if err := client.UpdateConnections(t.Context(), id, "ledger", put); err != nil {
		t.Fatal(err)
	}
	got, err := client.Connections(t.Context(), id, "ledger")
	if err != nil {
		t.Fatal(err)
	}
	want := put.Databases["m"]
	want.ConnectionSettings = raw(`{"maxOpenConns":3,"maxIdleConns":4}`)
	if !reflect.DeepEqual(got.Databases, map[string]managerapi.DatabaseConnections{"m": want}) ||
		string(got.RabbitMQ) != string(put.RabbitMQ) || string(got.Messaging) != string(put.Messaging) || string(got.Streaming) != string(put.Streaming) ||
		string(got.ConnectionSettings) != string(put.ConnectionSettings) || !reflect.DeepEqual(got.Other, put.Other) {
		data, _ := json.Marshal(got)
		t.Errorf("got %s", data)
	}
}

func TestX14WhatWasPutIsMerged(t *testing.T) {
	h := start(t)
	path := ledgerOf(h.tenant(t, "Acme")) + "/connections"
	h.want(t, 200, "PUT", path, `{"databases":{"m":{"postgresql":{"host":"a","port":5432}}},"zone":{"a":1.0,"b":2}}`)
	got := h.want(t, 200, "PUT", path, `{"databases":{"m":{"postgresql":{"port":null,"sslmode":"require"}}},"zone":{"b":null}}`).body
	has(t, got, `"databases":{"m":{"postgresql":{"host":"a","sslmode":"require"}}}`, `"zone":{"a":1.0}`)
	if again := h.want(t, 200, "GET", path, "").body; again != got {
		t.Errorf("GET answers %s, PUT %s", again, got)
	}
	h.want(t, 400, "PUT", path, `{"zone":1,"zone":2}`)
}

func TestX15AFlatRabbitMQIsRefused(t *testing.T) {
	h := start(t)
	path := ledgerOf(h.tenant(t, "Acme")) + "/connections"
	has(t, h.want(t, 400, "PUT", path, `{"rabbitmq":{"host":"q","port":5672}}`).body, `"code":"INVALID_BODY"`, `{\"messaging\":{\"rabbitmq\":`)
	has(t, h.want(t, 200, "PUT", path, `{"rabbitmq":{"m":{"host":"q"}}}`).body, `"rabbitmq":{"m":{"host":"q"}},"messaging":{"rabbitmq":{"host":"q"}}`)
	body := `{"isolationMode":"isolated","rabbitmq":{"host":"q"}}`
	h.want(t, 400, "POST", strings.Replace(path, "ledger/connections", "other", 1), body)
}

func TestX16EveryModuleIsShownTheLimitsThatCount(t *testing.T) {
	h := start(t)
	path := ledgerOf(h.tenant(t, "Acme")) + "/connections"
	h.want(t, 200, "PUT", path, `{"module":"onboarding","maxOpenConns":33,"maxIdleConns":7}`)
	h.want(t, 200, "PUT", path, `{"maxOpenConns":70,"maxIdleConns":12,"statementTimeout":"9s"}`)
	h.want(t, 200, "PUT", path, `{"databases":{"transaction":{"postgresql":{"host":"a"}}}}`)
	has(t, h.want(t, 200, "GET", path, "").body,
		`"onboarding":{"connectionSettings":{"maxOpenConns":33,"maxIdleConns":7,"statementTimeout":"9s"}}`,
		`"transaction":{"postgresql":{"host":"a"},"connectionSettings":{"maxOpenConns":70,"maxIdleConns":12,"statementTimeout":"9s"}}`,
		`},"connectionSettings":{"maxOpenConns":70,"maxIdleConns":12,"statementTimeout":"9s"}`)
}

func TestX17AKnownFieldOfAnotherTypeIsRefused(t *testing.T) {
	h := start(t)
	path := ledgerOf(h.tenant(t, "Acme"))
	for _, body := range []string{
		`{"statementTimeout":30}`, `{"connectionSettings":{"statementTimeout":30}}`, `{"databases":{"m":{"connectionSettings":{"statementTimeout":30}}}}`,
		`{"databases":{"m":{"postgresql":{"port":"5432"}}}}`, `{"streaming":{"m":{"kafka":{"brokers":"a,b"}}}}`, `{"maxOpenConns":"7"}`, `{"maxOpenConns":-1}`,
	} {
		h.want(t, 400, "PUT", path+"/connections", body)
	}
	h.want(t, 400, "POST", strings.Replace(path, "ledger", "other", 1), `{"isolationMode":"isolated","databases":{"m":{"mongodb":{"tls":"yes"}}}}`)
}

func TestX19ACacheIsInvalidated(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	if err := clientOf(t, h).InvalidateCache(t.Context(), id, "ledger", "imported"); err != nil {
		t.Error(err)
	}
	h.want(t, 202, "POST", ledgerOf(id)+"/cache/invalidate", "")
	h.want(t, 401, "POST", ledgerOf(id)+"/cache/invalidate", "", without("Authorization"))
	h.want(t, 400, "POST", ledgerOf(id)+"/cache/invalidate", `[]`)
	has(t, h.want(t, 200, "GET", "/v1/admin/events", "", without("X-Api-Key")).body,
		`"event_type":"tenant.cache.invalidate"`, `"payload":{"service_name":"ledger","reason":"imported"}`, `"payload":{"service_name":"ledger"}`)
}

func TestX20NamesHaveRules(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	for _, service := range []string{"ledger%2Fx", "%2E%2E", "a%20b", strings.Repeat("a", 256)} {
		has(t, h.want(t, 400, "POST", "/v1/tenants/"+id+"/associations/"+service, `{"isolationMode":"isolated"}`).body, `"INVALID_SERVICE"`)
	}
	for _, slug := range []string{"a/b", "../../sys", strings.Repeat("a", 64)} {
		has(t, h.want(t, 400, "POST", "/v1/tenants", `{"name":"B","environment":"staging","slug":"`+slug+`"}`).body, `"INVALID_SLUG"`)
	}
	has(t, h.want(t, 201, "POST", "/v1/tenants", `{"name":"B","environment":"Staging ","slug":"B-Corp"}`).body, `"slug":"b-corp"`)
}

func TestX21ATokenLearnsWhichServicesThereAre(t *testing.T) {
	h := start(t)
	id := h.tenant(t, "Acme")
	path := "/v1/tenants/" + id + "/associations/legder/connections"
	has(t, h.want(t, http.StatusNotFound, "GET", path, "", without("X-Api-Key")).body, `"code":"ASSOCIATION_NOT_FOUND"`, `"services":["ledger"]`)
	if got := h.want(t, http.StatusNotFound, "GET", path, "").body; strings.Contains(got, "services") {
		t.Errorf("a key learns of others: %s", got)
	}
	if got := h.want(t, http.StatusNotFound, "PUT", path, `{}`).body; strings.Contains(got, "services") {
		t.Errorf("a key learns of others, with a token beside it: %s", got)
	}
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: h.url, BearerToken: fixed(h.token)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Connections(t.Context(), id, "legder")
	if refused, ok := errors.AsType[*managerapi.Error](err); !ok || !reflect.DeepEqual(refused.Services(), []string{"ledger"}) {
		t.Errorf("got %v", err)
	}
}

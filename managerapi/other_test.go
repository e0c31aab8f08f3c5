package managerapi_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

func TestX14WhatHasNoFieldIsHandedOn(t *testing.T) {
	const answer = `{"id":"a","tenantSlug":"s","tenantName":"n","service":"ledger","status":"active","isolationMode":"i",` +
		`"databases":{"m":{"postgresql":{"host":"h"},"redis":{"host":"r"},"PostgreSQL":7}},"zone":"eu","Status":"other"}`
	var c managerapi.Connections
	if err := json.Unmarshal([]byte(answer), &c); err != nil {
		t.Fatal(err)
	}
	if m := c.Databases["m"]; c.Status != "active" || string(m.PostgreSQL) != `{"host":"h"}` || string(m.Other["redis"]) != `{"host":"r"}` {
		t.Errorf("got %+v", c)
	}
	again, err := json.Marshal(c)
	if err != nil || !reflect.DeepEqual(plain(t, again), plain(t, []byte(answer))) {
		t.Errorf("got %s, %v, want %s", again, err, answer)
	}
	request := managerapi.UpdateConnectionsRequest{
		Module: "m", Other: map[string]managerapi.SecretJSON{"zone": managerapi.SecretJSON(`"eu"`), "module": managerapi.SecretJSON(`"n"`)},
	}
	if got, err := json.Marshal(request); err != nil || string(got) != `{"module":"m","zone":"eu"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if got, err := json.Marshal(managerapi.DatabaseConnections{Other: map[string]managerapi.SecretJSON{"a": managerapi.SecretJSON(`1`)}}); err != nil || string(got) != `{"a":1}` {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestX21ARequestThatIsReadHasExactNames, below its own fields too.
func TestX21ARequestThatIsReadHasExactNames(t *testing.T) {
	const body = `{"secretPaths":{"m":{"mongodb":"right","MongoDB":"wrong"}},"messagingConfig":{"RABBITMQ_SECRET_PATH":"wrong"}}`
	var r managerapi.UpdateConnectionsRequest
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	if r.SecretPaths["m"].MongoDB != "right" || r.MessagingConfig == nil || r.MessagingConfig.RabbitMQSecretPath != "" {
		t.Errorf("got %+v %+v", r.SecretPaths, r.MessagingConfig)
	}
}

package server

import (
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// TestX21NamesInBodiesAreExact, even where a body decodes itself.
func TestX21NamesInBodiesAreExact(t *testing.T) {
	var key managerapi.CreateKeyRequest
	if err := contract.Decode([]byte(`{"Service":"ledger","service":"payments","Name":"n"}`), &key); err != nil || key.Service != "payments" || key.Name != "" {
		t.Errorf("got %+v, %v", key, err)
	}
	var association associationBody
	if err := contract.Decode([]byte(`{"IsolationMode":"a","MaxOpenConns":7,"maxIdleConns":2}`), &association); err != nil ||
		association.IsolationMode != "" || association.MaxOpenConns != 0 || association.MaxIdleConns != 2 {
		t.Errorf("got %+v, %v", association, err)
	}
}

func TestX21ATextIsTakenAsItIsOrNotAtAll(t *testing.T) {
	h := start(t)
	for body, status := range map[string]int{
		`{"name":"a\ud800b","environment":"staging"}`:       400,
		`{"name":"a\ud83d\ude00b","environment":"staging"}`: 201,
	} {
		h.want(t, status, "POST", "/v1/tenants", body)
	}
}

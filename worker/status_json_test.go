package worker_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

// TestStatusAsJSON has words and texts, as the page has.
func TestStatusAsJSON(t *testing.T) {
	since := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	data, err := json.Marshal(worker.Status{Running: 1, Tenants: []worker.TenantStatus{
		{TenantID: "acme", State: worker.GivenUp, Since: since, LastError: errors.New("the disk is full"), Active: true},
	}})
	want := `{"waiting":0,"running":1,"stopping":0,"overstaying":0,"restarting":0,"done":0,"given_up":0,"tenants":[` +
		`{"tenant_id":"acme","state":"given up","since":"2026-03-27T12:00:00Z","restarts":0,"last_error":"the disk is full","active":true}]}`
	if err != nil || string(data) != want {
		t.Errorf("got %s, %v, want %s", data, err, want)
	}
}

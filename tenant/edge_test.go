package tenant_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestD30TheEdgesOfTimeAndOfNumbersCountAsAbsent(t *testing.T) {
	tests := []struct {
		name, fields string
	}{
		{"year 10000 in UTC", `,"timestamp":"9999-12-31T23:59:59-05:00"`},
		{"year 0 in UTC", `,"timestamp":"0001-01-01T00:00:00+05:00"`},
		{"revision beyond 64 bits", `,"revision":18446744073709551616`},
		{"revision far beyond", `,"revision":99999999999999999999999999`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			evt, err := tenant.ParseEvent([]byte(`{"event_type":"tenant.created","tenant_id":"acme"` + tt.fields + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if want := (tenant.Event{EventType: tenant.EventCreated, TenantID: "acme"}); !reflect.DeepEqual(evt, want) {
				t.Errorf("got %+v, want %+v", evt, want)
			}
			if _, err := json.Marshal(evt); err != nil {
				t.Errorf("cannot be sent on: %v", err)
			}
		})
	}
}

package store

import (
	"bytes"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestATimestampHasItsMicrosecondsAlsoWhereTheyAreZero(t *testing.T) {
	for nanos, want := range map[int]string{
		0: "02.000000Z", 120_000_000: "02.120000Z", 123_456_000: "02.123456Z",
	} {
		at := time.Date(2026, 3, 27, 15, 45, 2, nanos, time.FixedZone("", 3600))
		evt := tenant.Event{EventID: "e", EventType: tenant.EventCreated, TenantID: "acme", Timestamp: at}
		data, err := encodeEvent(evt, tenant.Version{Epoch: "one", Revision: 1})
		if err != nil || !bytes.Contains(data, []byte(`"timestamp":"2026-03-27T14:45:`+want+`"`)) {
			t.Errorf("%s, %v, want %s", data, err, want)
		}
		back, err := tenant.ParseEvent(data)
		if err != nil || !back.Timestamp.Equal(at) || back.Version() != (tenant.Version{Epoch: "one", Revision: 1}) {
			t.Errorf("read again it is %+v, %v", back, err)
		}
	}
}

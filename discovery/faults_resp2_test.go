package discovery_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// TestD28EveryProtocol: with each byte by itself every event arrives, over RESP3 and, from a server that knows no HELLO,
// over RESP2.
func TestD28EveryProtocol(t *testing.T) {
	for resp, args := range map[string][]string{"resp=3": nil, "resp=2": {"--rename-command", "HELLO", "UNKNOWN-HELLO"}} {
		t.Run(resp, func(t *testing.T) {
			r := newReal(t, args...)
			r.cfg.ResyncInterval = time.Hour
			r.via(t).Set(testserver.SplitBytes)
			d := r.start(t)
			wantStateSoon(t, d, discovery.Live)
			if line := subscriber(r.redis.Client().ClientList(t.Context()).Val()); !strings.Contains(line, resp) {
				t.Errorf("the subscriber is %q, want %s", line, resp)
			}
			for i := range 10 {
				r.add(t, fmt.Sprint("t", i))
			}
			r.wantEqual(t, d)
			if s := d.Status(); s.State != discovery.Live || s.Counters.EventsBad != 0 || r.manager.Requests() != 1 {
				t.Errorf("%+v, %d requests", s, r.manager.Requests())
			}
		})
	}
}

// subscriber returns the line of CLIENT LIST that is subscribed.
func subscriber(clients string) string {
	for line := range strings.Lines(clients) {
		if strings.Contains(line, " flags=P ") {
			return line
		}
	}
	return ""
}

package server

import (
	"net/http"
	"strings"
	"testing"
)

// TestTheTableOfCalls: who may make a call follows from its method and its path, whatever its row says, and no two are alike.
func TestTheTableOfCalls(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range calls {
		want := byKey
		switch {
		case c.id == "":
			want = anybody
		case c.method != http.MethodGet, strings.HasPrefix(c.path, adminPath):
			want = byToken
		}
		if c.access != want {
			t.Errorf("%s: its access is %d, want %d", c.pattern(), c.access, want)
		}
		for _, name := range []string{c.pattern(), c.id} {
			if name != "" && seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
	if forgotten := (call{}); forgotten.access != byToken {
		t.Errorf("a call that says nothing is for %d", forgotten.access)
	}
}

// TestWhatAnybodyMayCall is these three, and no change that is made to the table by accident.
func TestWhatAnybodyMayCall(t *testing.T) {
	var open []string
	for _, c := range calls {
		if c.access == anybody {
			open = append(open, c.pattern())
		}
	}
	if got, want := strings.Join(open, ", "), "GET /openapi.json, GET /healthz, GET /readyz"; got != want {
		t.Errorf("anybody may call %s, want %s", got, want)
	}
}

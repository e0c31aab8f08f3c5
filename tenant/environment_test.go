package tenant_test

import (
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestParseEnvironment(t *testing.T) {
	tests := []struct {
		name, give, want string
		err              string // what the error has to say; "" where there is none
	}{
		{name: "none"},
		{name: "normal", give: "production", want: "production"},
		{name: "another case", give: "Production", want: "production"},
		{name: "spaces around", give: "  staging ", want: "staging"},
		{name: "a tab around", give: "\tstaging", err: "control character"},
		{name: "only spaces", give: "   "},
		{name: "a space within", give: "eu west", err: "white space"},
		{name: "not ASCII", give: "PRÜFUNG", want: "prüfung"},
		{name: "quotes around", give: `"production"`, err: "quotes"},
		{name: "single quotes around", give: "'production'", err: "quotes"},
		{name: "the end of a line", give: "production\r", err: "control character"},
		{name: "a NUL", give: "a\x00b", err: "control character"},
		{name: "no UTF-8", give: "a\xff", err: "UTF-8"},
		{name: "default", give: " Default", err: "means that there is none"},
		{name: "too long", give: strings.Repeat("a", tenant.MaxEnvironmentLength+1), err: "256"},
		{name: "as long as can be", give: strings.Repeat("A", tenant.MaxEnvironmentLength), want: strings.Repeat("a", tenant.MaxEnvironmentLength)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tenant.ParseEnvironment(tt.give)
			switch {
			case tt.err == "" && err != nil:
				t.Fatalf("got the error %v, want %q", err, tt.want)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Fatalf("got %q and the error %v, want an error that says %q", got, err, tt.err)
			case got != tt.want:
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

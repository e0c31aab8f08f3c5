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

// TestX18ALoweredNameIsNoLongerThanANameMayBe: some letters have more bytes in lower case.
func TestX18ALoweredNameIsNoLongerThanANameMayBe(t *testing.T) {
	const longer = "\u023a" // two bytes, and three when it is lowered
	if got, err := tenant.ParseEnvironment(strings.Repeat(longer, 128)); err == nil {
		t.Errorf("a name of %d bytes passes", len(got))
	}
	whole := strings.Repeat("x", tenant.MaxEnvironmentLength)
	if got, err := tenant.ParseEnvironment(" " + whole + " "); err != nil || got != whole {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzParseEnvironment(f *testing.F) {
	for r := rune(0x80); r < 0x3000; r += 7 {
		f.Add(strings.Repeat(string(r), 20))
	}
	f.Add(strings.Repeat("\u023a", 128))
	f.Fuzz(func(t *testing.T, name string) {
		got, err := tenant.ParseEnvironment(name)
		if err != nil {
			return
		}
		if again, err := tenant.ParseEnvironment(got); err != nil || again != got {
			t.Errorf("%q is %q, and that is %q, %v", name, got, again, err)
		}
	})
}

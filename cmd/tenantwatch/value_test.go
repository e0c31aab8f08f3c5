package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestX29ValuesAsOtherProgramsWriteThem(t *testing.T) {
	tests := []struct {
		name, value string
		form        form
		want        string // empty: it is taken
	}{
		{"a name", "ledger", formPlain, ""},
		{"an apostrophe", "o'hara", formPlain, ""},
		{"double quotes", `"production"`, formName, "has quotes around it"},
		{"single quotes", "'production'", formPlain, "has quotes around it"},
		{"backquotes", "`production`", formPlain, "has quotes around it"},
		{"quotes of a word processor", "“production”", formPlain, "has quotes around it"},
		{"quotes with a space", ` "production" `, formPlain, "has quotes around it"},
		{"nothing but quotes", `""`, formPlain, "has quotes around it"},
		{"one quote that was cut", `"`, formPlain, "has quotes around it"},
		{"a secret with quotes", `"hunter2"`, formSecret, "has quotes around it"},
		{"the line ends of Windows", "sqlite:t.db\r", formURL, "carriage return"},
		{"a line end", "t.db\n", formPlain, "line break"},
		{"a tab", "a\tb", formSecret, "a tab"},
		{"UTF-16", "a\x00b\x00", formPlain, "zero byte"},
		{"another control character", "a\x1b[31m", formPlain, "U+001B"},
		{"a control character of Latin-1", "a\u0085", formSecret, "U+0085"},
		{"a byte order mark", "\ufeffledger", formPlain, "invisible character (U+FEFF)"},
		{"a space without width", "led\u200bger", formName, "invisible character (U+200B)"},
		{"Latin-1", "caf\xe9", formPlain, "not valid UTF-8"},
		{"a space before", " ledger", formPlain, "white space around it"},
		{"a space behind", "https://h ", formURL, "white space around it"},
		{"a space that does not break", "ledger\u00a0", formPlain, "white space around it"},
		{"spaces around an environment", " production ", formName, ""},
		{"a password that ends with a space", "hunter2 ", formSecret, ""},
		{"too long", strings.Repeat("x", longestValue+1), formPlain, "longer than"},
		{"certificates", strings.Repeat("eHh4\n", longestValue), formEncoded, ""},
		{"a token", "twt_" + strings.Repeat("x", 43), formPlain, "a token or an API key"},
		{"a key", "twk_" + strings.Repeat("x", 43), formURL, "a token or an API key"},
		{"a key in the place of its file", "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0txxx", formPlain, "a key or a certificate in base64"},
		{"a key in an option", "postgres://h/x?sslkey=LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0txxx", formURL, "a key or a certificate in base64"},
		{"what people write", "\"Acme\"\n", formText, ""},
		{"what people write in Latin-1", "Caf\xe9", formText, "not valid UTF-8"},
		{"an argument of a program in Latin-1", "Caf\xe9", formBytes, ""},
		{"a host in quotes", `redis://"h":1`, formURL, "the host, that has quotes"},
		{"a password in quotes", "redis://:%22x%22@h", formURL, "the password, that has quotes"},
		{"a user in quotes", "redis://'x':y@h", formURL, "the user, that has quotes"},
		{"a path with a line end", "https://h/x%0d", formURL, "the path, that has a control"},
		{"a name of a database in quotes", "postgres://h/%22x%22", formURL, "the path, that has quotes"},
		{"an option in quotes", `postgres://h/x?sslmode="require"`, formURL, "the option, that has quotes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := valueProblem(tt.value, tt.form)
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for _, secret := range []string{"hunter2", "xxx", "production"} {
				if strings.Contains(got, secret) {
					t.Errorf("the value shows in %q", got)
				}
			}
		})
	}
}

// TestX29APathThatReadsAsAKey: 43 letters are base64 of 32 bytes, and a path may be that long.
func TestX29APathThatReadsAsAKey(t *testing.T) {
	path := strings.Repeat("a", 43)
	for there, want := range map[bool]int{false: 1, true: 0} {
		t.Run(fmt.Sprintf("there is a file: %t", there), func(t *testing.T) {
			t.Chdir(t.TempDir())
			if there {
				if err := os.WriteFile(path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l := &lookup{getenv: func(string) string { return "" }}
			(&databaseFlags{DB: "sqlite:t.db", Environment: "staging", EncryptionKeyFile: path}).resolve(l)
			if len(l.problems) != want {
				t.Errorf("got the problems %q, want %d", l.problems, want)
			}
		})
	}
}

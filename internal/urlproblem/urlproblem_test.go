package urlproblem

import (
	"strings"
	"testing"
)

// TestX29ABadURLBlamesWhatIsWrong: each part that can be wrong is blamed by its name, and nothing of the URL shows.
func TestX29ABadURLBlamesWhatIsWrong(t *testing.T) {
	const s = "S3CRET"
	tests := []struct {
		kind Kind
		url  string
		want string // empty: it is right
	}{
		{Redis, "redis://host", ""},
		{Redis, "REDISS://user:" + s + "@host:6379/3", ""},
		{Redis, "redis://", ""},
		{Redis, "redis://[::1]:6379", ""},
		{Redis, "redis://[fe80::1%25eth0]:6379", ""},
		{Redis, "redis://:p%40" + s + "@redis-1.example.com", ""},
		{Postgres, "postgres:///name?host=/run/postgresql", ""},
		{Postgres, "postgresql://u:" + s + "@one,two/name?application_name=a@b", ""},
		{Postgres, "postgres://one/name?application_name=a@b", ""},
		{Manager, "https://tenants.example.com/prefix", ""},

		{Redis, s + ":6379", "does not begin with redis:// or rediss://: a host alone is not enough"},
		{Redis, "http://" + s, "does not begin with redis://"},
		{Postgres, "jdbc:postgresql://h/n?password=" + s, "leave out jdbc:"},
		{Postgres, "host=h password=" + s, "write keywords as a URL"},
		{Manager, "tenants.example.com", "does not begin with https:// or http://"},
		{Manager, "https://", "names no host"},
		{Manager, "https:///" + s, "names no host"},

		{Redis, "redis://:" + s + "/x@host:6379", "a /, ? or # in its user or password"},
		{Redis, "redis://:" + s + "#x@host:6379", "a /, ? or # in its user or password"},
		{Redis, "redis://user:1?x" + s + "@host", "a /, ? or # in its user or password"},
		{Postgres, "postgres://user:12/" + s + "@host/name", "a /, ? or # in its user or password"},
		{Redis, "redis://:a@" + s + "#1@host/0", "a /, ? or # in its user or password"},
		{Redis, "redis://:a@" + s + "/1@host/0", "a /, ? or # in its user or password"},
		{Redis, "redis://:a@" + s + "?1@host/0", "a /, ? or # in its user or password"},
		{Redis, "redis://host/0#" + s, "has a #"},
		{Redis, "redis://:a@host#" + s, "has a #"},
		{Redis, "redis://host#", "has a #"},
		{Postgres, "postgres://user:a@" + s + "/x@host/name", "a /, ? or # in its user or password"},
		{Postgres, "postgres://user:a@" + s + "#x@host/name", "a /, ? or # in its user or password"},
		{Postgres, "postgres://user:a@" + s + "?x@host/name", "a /, ? or # in its user or password"},
		{Postgres, "postgres://user:a@" + s + "?x=y@host/name", "a /, ? or # in its user or password"},
		{Postgres, "postgres://user:a@host/name#" + s, "has a #"},
		{Postgres, "postgres://user:a@host/na%40me", ""},
		{Postgres, "postgres://user:a@host/name?application_name=a@b&options=-c%20x", ""},
		{Postgres, "postgres://?host=/run/postgresql&user=a@b", ""},
		{Manager, "https://user:a@" + s + "#x@host", "a /, ? or # in its user or password"},
		{Manager, "https://host/#" + s, "has a #"},
		{Manager, "https://host/prefix@1", "a /, ? or # in its user or password"},
		{Redis, "redis://:" + s + "%zz@host:6379", "a % in its user or password"},
		{Redis, "redis://:" + s + "%@host:6379", "a % in its user or password"},
		{Redis, "redis://:" + s + " x@host:6379", "percent-encoded"},
		{Redis, "redis://:" + s + "^@host:6379", "percent-encoded"},
		{Redis, "redis://:" + s + "@host:port", "a port that is not a number"},
		{Redis, "redis://:" + s + "@host:65536", "a port that is not a number"},
		{Redis, "redis://:" + s + "@host:0", "a port that is not a number"},
		{Redis, "redis://:" + s + "@::1", "an IPv6 address needs brackets"},
		{Redis, "redis://:" + s + "@[::1:6379", "has a [ in its host and no ]"},
		{Redis, "redis://:" + s + "@host:1:2", "an IPv6 address needs brackets"},
		{Redis, "redis://:" + s + "@${HOST}:6379", "a character in its host"},
		{Redis, "redis://:" + s + "@ho st", "a character in its host"},
		{Redis, "redis://:" + s + "@ho%20st", "a character in its host"},
		{Postgres, "postgres://:" + s + "@h/na%me", "a % in its path"},
		{Postgres, "postgres://u:" + s + "@one:5432,two:5432/n", "several hosts with ports"},
	}
	for _, tt := range tests {
		got := tt.kind.Problem(tt.url)
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
		}
		if strings.Contains(got, s) {
			t.Errorf("%s: the secret shows in %q", tt.url, got)
		}
	}
}

package main

import (
	"strings"
	"testing"
)

// TestX29ABadURLBlamesWhatIsWrong: each part that can be wrong is blamed by its name, and nothing of the URL shows.
func TestX29ABadURLBlamesWhatIsWrong(t *testing.T) {
	const s = "S3CRET"
	tests := []struct {
		kind urlKind
		url  string
		want string // empty: it is right
	}{
		{redisURLs, "redis://host", ""},
		{redisURLs, "REDISS://user:" + s + "@host:6379/3", ""},
		{redisURLs, "redis://", ""},
		{redisURLs, "redis://[::1]:6379", ""},
		{redisURLs, "redis://[fe80::1%25eth0]:6379", ""},
		{redisURLs, "redis://:p%40" + s + "@redis-1.example.com", ""},
		{postgresURLs, "postgres:///name?host=/run/postgresql", ""},
		{postgresURLs, "postgresql://u:" + s + "@one,two/name?application_name=a@b", ""},
		{postgresURLs, "postgres://one/name?application_name=a@b", ""},
		{managerURLs, "https://tenants.example.com/prefix", ""},

		{redisURLs, s + ":6379", "does not begin with redis:// or rediss://: a host alone is not enough"},
		{redisURLs, "http://" + s, "does not begin with redis://"},
		{postgresURLs, "jdbc:postgresql://h/n?password=" + s, "leave out jdbc:"},
		{postgresURLs, "host=h password=" + s, "write keywords as a URL"},
		{managerURLs, "tenants.example.com", "does not begin with https:// or http://"},
		{managerURLs, "https://", "names no host"},
		{managerURLs, "https:///" + s, "names no host"},

		{redisURLs, "redis://:" + s + "/x@host:6379", "a /, ? or # in its user or password"},
		{redisURLs, "redis://:" + s + "#x@host:6379", "a /, ? or # in its user or password"},
		{redisURLs, "redis://user:1?x" + s + "@host", "a /, ? or # in its user or password"},
		{postgresURLs, "postgres://user:12/" + s + "@host/name", "a /, ? or # in its user or password"},
		{redisURLs, "redis://:" + s + "%zz@host:6379", "a % in its user or password"},
		{redisURLs, "redis://:" + s + "%@host:6379", "a % in its user or password"},
		{redisURLs, "redis://:" + s + " x@host:6379", "percent-encoded"},
		{redisURLs, "redis://:" + s + "^@host:6379", "percent-encoded"},
		{redisURLs, "redis://:" + s + "@host:port", "a port that is not a number"},
		{redisURLs, "redis://:" + s + "@host:65536", "a port that is not a number"},
		{redisURLs, "redis://:" + s + "@host:0", "a port that is not a number"},
		{redisURLs, "redis://:" + s + "@::1", "an IPv6 address needs brackets"},
		{redisURLs, "redis://:" + s + "@host:1:2", "an IPv6 address needs brackets"},
		{redisURLs, "redis://:" + s + "@${HOST}:6379", "a character in its host"},
		{redisURLs, "redis://:" + s + "@ho st", "a character in its host"},
		{redisURLs, "redis://:" + s + "@ho%20st", "a character in its host"},
		{postgresURLs, "postgres://:" + s + "@h/na%me", "a % in its path"},
		{postgresURLs, "postgres://u:" + s + "@one:5432,two:5432/n", "several hosts with ports"},
	}
	for _, tt := range tests {
		got := tt.kind.problem(tt.url)
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.url, got, tt.want)
		}
		if strings.Contains(got, s) {
			t.Errorf("%s: the secret shows in %q", tt.url, got)
		}
	}
}

// Package urlproblem says what is wrong with a URL that somebody has written into a setting, without showing any of it.
package urlproblem

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a URL is for.
type Kind struct {
	Example   string // what one looks like
	schemes   []string
	needsHost bool
	database  bool // there may be several hosts, with a comma between them, and options of all kinds
}

// Redis, Postgres and Manager are the URLs that settings have.
var (
	Redis    = Kind{schemes: []string{"redis", "rediss"}, Example: "redis://host:6379, or rediss://user:password@host:6379 with TLS"}
	Postgres = Kind{schemes: []string{"postgres", "postgresql"}, Example: "postgres://user:password@host/name", database: true}
	Manager  = Kind{schemes: []string{"https", "http"}, Example: "https://tenants.example.com", needsHost: true}
)

// Problem says what is wrong with a URL, empty if nothing is. It blames the part that is wrong and shows none, since any of
// them can be a piece of a password that was not percent-encoded.
func (k Kind) Problem(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !slices.Contains(k.schemes, strings.ToLower(scheme)) {
		return "does not begin with " + strings.Join(k.schemes, ":// or ") + "://" + foreign(text)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	at := strings.LastIndex(authority, "@")
	_, err := url.Parse(text)
	if k.straysInto(authority, path) || at < 0 && err != nil && strings.Contains(path, "@") {
		return "has a /, ? or # in its user or password: write %2F, %3F or %23, and %40 for an @ that is elsewhere"
	}
	if strings.Contains(path, "#") {
		return "has a #, behind which nothing is read: leave it out, or write %23 where it is part of a password"
	}
	if problem := userProblem(authority[:max(at, 0)]); problem != "" {
		return problem
	}
	if problem := k.hostProblem(authority[at+1:]); problem != "" {
		return problem
	}
	switch {
	case brokenPercent(path):
		return "has a % in its path or its options that is not followed by two hex digits: write %25"
	case err != nil:
		return "is not a URL"
	}
	return ""
}

// straysInto reports whether the @ before the host seems to be in what is behind the host, so that a piece of the password was taken
// for the host. The options of a database may have one in a value, where there is a path before them.
func (k Kind) straysInto(authority, path string) bool {
	path, fragment, _ := strings.Cut(path, "#")
	path, query, _ := strings.Cut(path, "?")
	if strings.Contains(path+fragment, "@") {
		return true
	}
	if !k.database || path == "" && authority != "" {
		return strings.Contains(query, "@")
	}
	for option := range strings.SplitSeq(query, "&") {
		if name, _, _ := strings.Cut(option, "="); strings.Contains(name, "@") {
			return true
		}
	}
	return false
}

// foreign names the form that other programs write, and what would be ours.
func foreign(text string) string {
	switch lower := strings.ToLower(text); {
	case strings.HasPrefix(lower, "jdbc:"):
		return ": leave out jdbc:, and write user and password before the host"
	case strings.Contains(lower, "host=") || strings.Contains(lower, "dbname="):
		return ": write keywords as a URL"
	case !strings.Contains(text, ":/"):
		return ": a host alone is not enough"
	default:
		return ""
	}
}

func brokenPercent(text string) bool {
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			return false
		}
		if len(after) < 2 || !isHex(after[0]) || !isHex(after[1]) {
			return true
		}
		rest = after[2:]
	}
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unusualInUser is what net/url does not take in a user or password.
var unusualInUser = regexp.MustCompile(`[^A-Za-z0-9\-._:~!$&'()*+,;=%@]`)

func userProblem(user string) string {
	switch {
	case brokenPercent(user):
		return "has a % in its user or password that is not followed by two hex digits: write %25"
	case unusualInUser.MatchString(user):
		return "has a character in its user or password that has to be percent-encoded, as a space is %20"
	}
	return ""
}

// usualInHost are the characters of names and addresses.
var usualInHost = regexp.MustCompile(`^[\p{L}\p{N}._\-]*$`)

// splitHost cuts the port off, with its colon. Of an IPv6 address the name is what has to be usual in it.
func splitHost(host string) (name, port string) {
	if inner, after, bracketed := strings.Cut(strings.TrimPrefix(host, "["), "]"); bracketed && strings.HasPrefix(host, "[") {
		return strings.ReplaceAll(strings.ReplaceAll(inner, ":", ""), "%25", "-"), after
	}
	if colon := strings.Index(host, ":"); colon >= 0 {
		return host[:colon], host[colon:]
	}
	return host, ""
}

func (k Kind) hostProblem(host string) string {
	name, port := splitHost(host)
	if k.database && strings.Contains(host, ",") {
		name, port = strings.ReplaceAll(host, ",", ""), ""
		if strings.Contains(host, ":") {
			return "has several hosts with ports: write them as options, as in ?host=one,two&port=5432,5433"
		}
	}
	switch {
	case strings.HasPrefix(host, "[") && !strings.Contains(host, "]"):
		return "has a [ in its host and no ] after it: an IPv6 address needs both, as in [::1]:6379"
	case k.needsHost && name == "":
		return "names no host"
	case strings.Count(port, ":") > 1:
		return "has more than one colon after its user: an IPv6 address needs brackets, as in [::1]:6379"
	case !usualInHost.MatchString(name):
		return "has a character in its host that no host has"
	case port != "" && port != ":" && !IsPort(port[1:]):
		return "has a port that is not a number from 1 to 65535"
	}
	return ""
}

// IsPort reports whether text is the number of a port, from 1 to 65535.
func IsPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

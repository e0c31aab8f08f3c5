package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// readyLine is the banner for programs.
type readyLine struct {
	ManagerURL  string `json:"manager_url"`
	APIKey      string `json:"api_key"`
	Token       string `json:"token"`
	Service     string `json:"service"`
	Environment string `json:"environment"`
	RedisURL    string `json:"redis_url"` // without its password
	MetricsURL  string `json:"metrics_url"`
	APIKeyFile  string `json:"api_key_file"`
	HeadersFile string `json:"headers_file"` // all headers that a write needs
	Tenants     int    `json:"tenants"`
}

// printReady says where everything is.
func (c *devCommand) printReady(s *stack, out *printer) error {
	if c.JSON {
		return out.object("ready", time.Now(), readyLine{
			ManagerURL: s.managerURL(), APIKey: s.apiKey, Token: s.token,
			Service: s.service, Environment: s.environment, RedisURL: s.redisURL, MetricsURL: s.metricsURL(),
			APIKeyFile: s.keyFile(), HeadersFile: s.headersFile(), Tenants: s.discovery.Len(),
		})
	}
	var text strings.Builder
	for _, row := range [][2]string{
		{"manager", s.managerURL()},
		{"API key", s.apiKey},
		{"token", s.token},
		{"service", s.service},
		{"environment", s.environment},
		{"Redis", s.redisURL},
		{"metrics", s.metricsURL()},
		{"tenants", strconv.Itoa(s.discovery.Len())},
	} {
		fmt.Fprintf(&text, "%-12s %s\n", row[0], row[1])
	}
	text.WriteString("\nFollow it from another terminal:\n\n" + s.followCommand() + "\n")
	if c.rate() == 0 {
		text.WriteString("\nNothing changes by itself. Change something:\n\n" + strings.Join(s.curls(c.Tenants), "\n") + "\n")
	}
	text.WriteString("\nTime, + came, - went, ~ was reconfigured, why, and how long after the manager began to commit it:\n")
	_, err := fmt.Fprintf(out, "%s\n", text.String())
	return err
}

// followCommand is one line to paste. A Redis password does not belong on a screen, so that URL is left to the environment.
func (s *stack) followCommand() string {
	words := []string{
		program(), "follow", "--service", quote(s.service), "--environment", quote(s.environment),
		"--manager-url", s.managerURL(), "--api-key-file", quote(s.keyFile()),
	}
	redis, private := s.redisFlags.words()
	line := strings.Join(append(words, redis...), " ")
	if private {
		return "# first set TENANTWATCH_REDIS_URL to the URL of this Redis, with its password\n" + line
	}
	return line
}

// curls are lines to paste. Each works by itself, but that the second wants the tenant of the first.
func (s *stack) curls(tenants int) []string {
	call := func(method, path, body string) string {
		words := []string{"curl", "-sS", "-X", method, "-H", quote("@" + s.headersFile())}
		if body != "" {
			words = append(words, "-d", quote(body))
		}
		return strings.Join(append(words, quote(s.managerURL()+"/v1/tenants"+path)), " ")
	}
	service := "/associations/" + url.PathEscape(s.service)
	lines := []string{
		call("POST", "", fmt.Sprintf(`{"name":"Acme","environment":%q,"isolation":"shared","owner":{"email":"it@acme.example"}}`, s.environment)),
		call("POST", "/"+tenantID(int64(tenants)+1)+service, `{"isolationMode":"shared"}`),
	}
	if tenants > 0 {
		first := "/" + tenantID(1)
		lines = append(lines, call("PUT", first+"/suspend", ""), call("PUT", first+"/reactivate", ""))
		last := "/" + tenantID(int64(tenants)) + service
		lines = append(lines, call("POST", last+"/credentials/rotate", ""), call("DELETE", last, ""))
	}
	return append(lines, call("GET", "/active?service="+url.QueryEscape(s.service), ""))
}

// program is how this binary is called: by its name if the shell finds it by that.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "tenantwatch"
	}
	name := filepath.Base(self)
	if found, err := exec.LookPath(name); err == nil && sameFile(found, self) {
		return name
	}
	return quote(self)
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// quote makes a word that a shell takes as it is.
func quote(word string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("@%+=:,./_-", r)
	}
	if word != "" && strings.TrimFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

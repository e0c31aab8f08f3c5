package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// maxKeyFile is the largest file with a key or a token that is read, in bytes.
const maxKeyFile = 16 << 10

// settings are what following a service needs.
type settings struct {
	service, environment, managerURL string
	redis                            redisevents.Config
	key                              keySource
}

// keySource is where the API key, or the token, comes from.
type keySource struct {
	name    string // as the user knows it
	provide func(ctx context.Context) (string, error)
}

// lookup finds a setting: the flag first, then the environment. A variable that is empty counts as not there.
type lookup struct {
	env     func(string) string
	missing []string
	found   []foundSetting
}

// foundSetting is a setting with where it came from, for people.
type foundSetting struct {
	Name, Value, From string
}

// need returns the flag's value or that of the first variable that has one. Without any the setting is noted as missing.
func (l *lookup) need(what, flag, value string, variables ...string) string {
	return l.or("", what, flag, value, variables...)
}

// or is need with a value for when there is none; it may be empty, and is then missing.
func (l *lookup) or(fallback, what, flag, value string, variables ...string) string {
	from := flag
	for _, name := range variables {
		if value == "" {
			value, from = l.env(name), name
		}
	}
	if value == "" {
		value, from = fallback, "default"
	}
	if value == "" {
		l.miss(what, flag, variables...)
	}
	l.found = append(l.found, foundSetting{what, value, from})
	return value
}

func (l *lookup) miss(what, flag string, variables ...string) {
	l.missing = append(l.missing, fmt.Sprintf("  %-16s %s, or %s", what, flag, strings.Join(variables, ", or ")))
}

// settings puts together what the flags of a command and the environment say. Everything that is missing is named in one error.
func (c *connectionFlags) settings(command string, env func(string) string, stdin io.Reader) (settings, error) {
	l := &lookup{env: env}
	s := settings{
		service:    l.need("the service", "--service", c.Service, "APPLICATION_NAME"),
		managerURL: l.need("the manager", "--manager-url", c.ManagerURL, "TENANTWATCH_URL", "MULTI_TENANT_URL"),
		key:        c.keySource(l, stdin),
	}
	switch {
	case c.Environment != nil:
		s.environment = *c.Environment // also an empty one, which means all
	case env("ENVIRONMENT_NAME") != "":
		s.environment = env("ENVIRONMENT_NAME")
	default:
		s.environment = env("ENV_NAME")
	}
	var err error
	s.redis, err = c.redis(l)
	if len(l.missing) > 0 {
		return s, &usageError{
			text:   "settings are missing:\n" + strings.Join(l.missing, "\n"),
			advice: "\"tenantwatch dev --no-churn\" starts a manager and a Redis to try it with.",
		}
	}
	if problems := oddNames("the service", s.service, "the environment", s.environment); err == nil && len(problems) > 0 {
		err = &usageError{
			text:   strings.Join(problems, "; "),
			advice: fmt.Sprintf("Check --service and --environment, or the variables that %q names beside them.", command+" --help"),
		}
	}
	return s, err
}

// oddNames says which of the names, each after what it is called, can be no name of a service or an environment.
func oddNames(pairs ...string) (problems []string) {
	for pair := range slices.Chunk(pairs, 2) {
		if strings.ContainsFunc(pair[1], func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }) {
			problems = append(problems, fmt.Sprintf("%s %q has white space or an invisible character in it", pair[0], pair[1]))
		}
	}
	return problems
}

func (c *connectionFlags) keySource(l *lookup, stdin io.Reader) keySource {
	if c.APIKeyFile == "-" {
		return keySource{name: "standard input", provide: readOnce(stdin)}
	}
	if c.APIKeyFile != "" {
		return keySource{name: "--api-key-file", provide: readFile(c.APIKeyFile)}
	}
	names := []string{"TENANTWATCH_API_KEY", "MULTI_TENANT_SERVICE_API_KEY"}
	for _, name := range names {
		if key := l.env(name); key != "" {
			return keySource{name: name, provide: managerapi.StaticKey(key)}
		}
	}
	l.miss("the API key", "--api-key-file", names...)
	return keySource{}
}

// readFile reads the file anew for every request, so that a new key needs no restart.
func readFile(path string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer func() { _ = file.Close() }()
		return readKey(file)
	}
}

func readOnce(stdin io.Reader) func(context.Context) (string, error) {
	read := sync.OnceValues(func() (string, error) { return readKey(stdin) })
	return func(context.Context) (string, error) { return read() }
}

func readKey(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if len(text) > maxKeyFile {
		err = fmt.Errorf("more than %d bytes, which is no key", maxKeyFile)
	}
	return string(text), err
}

// redis takes either a URL or the variables that services have. The two are not mixed, so that the password of one server
// is never sent to another; only the certificate counts for both.
func (c *connectionFlags) redis(l *lookup) (redisevents.Config, error) {
	source, text := "--redis-url", c.RedisURL
	if text == "" {
		source, text = "TENANTWATCH_REDIS_URL", l.env("TENANTWATCH_REDIS_URL")
	}
	if text == "" {
		return redisFromVariables(l)
	}
	cfg, err := redisevents.ParseURL(text)
	if cfg.TLS {
		cfg.CACertBase64 = l.env("MULTI_TENANT_REDIS_CA_CERT")
	}
	return cfg, checkRedis(source, cfg, err)
}

func redisFromVariables(l *lookup) (redisevents.Config, error) {
	host := l.need("Redis", "--redis-url", "", "TENANTWATCH_REDIS_URL", "MULTI_TENANT_REDIS_HOST")
	cfg := redisevents.Config{
		Host:         host,
		Port:         l.env("MULTI_TENANT_REDIS_PORT"),
		Password:     l.env("MULTI_TENANT_REDIS_PASSWORD"),
		CACertBase64: l.env("MULTI_TENANT_REDIS_CA_CERT"),
	}
	var err error
	if text := l.env("MULTI_TENANT_REDIS_TLS"); text != "" {
		if cfg.TLS, err = strconv.ParseBool(text); err != nil {
			err = errors.New("MULTI_TENANT_REDIS_TLS is neither true nor false")
		}
	}
	return cfg, checkRedis("MULTI_TENANT_REDIS_*", cfg, err)
}

func checkRedis(source string, cfg redisevents.Config, err error) error {
	if err == nil {
		err = cfg.Validate()
	}
	if err == nil {
		return nil
	}
	return &usageError{
		text:   source + ": " + err.Error(),
		advice: "A Redis URL looks like redis://host:6379, or rediss://user:password@host:6379 with TLS.",
	}
}

// client returns a client for the manager.
func (s settings) client(allowInsecureHTTP bool) (*managerapi.Client, error) {
	return newManagerClient(s.managerURL, allowInsecureHTTP, insecure{secret: "API key", flag: "--allow-insecure-http"},
		managerapi.WithAPIKey(s.key.provide))
}

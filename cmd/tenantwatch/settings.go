package main

import (
	"context"
	"crypto/tls"
	"io"
	"strings"
	"unicode"

	"github.com/tenantwatch/tenantwatch/internal/urlproblem"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// settings are what following a service needs.
type settings struct {
	service, environment, managerURL string
	redis                            redisevents.Config
	key                              keySource
	tls                              *tls.Config // with the manager; nil is the system's way
}

// keySource is where the API key, or the token, comes from.
type keySource struct {
	name    string // as the user knows it
	provide func(ctx context.Context) (string, error)
}

// The settings that several commands have.
var (
	servedService = setting{what: "the service", flag: "--service", variables: []string{"TENANTWATCH_SERVICE", "APPLICATION_NAME"}}
	heardFrom     = setting{what: "the environment", flag: "--environment", variables: []string{"TENANTWATCH_ENVIRONMENT", "ENVIRONMENT_NAME", "ENV_NAME"}, optional: true}
	apiKey        = setting{what: "the API key", flag: "--api-key-file", file: "TENANTWATCH_API_KEY_FILE", variables: []string{"TENANTWATCH_API_KEY", "MULTI_TENANT_SERVICE_API_KEY"}}
	bearerToken   = setting{what: "the token", flag: "--token-file", file: "TENANTWATCH_TOKEN_FILE", variables: []string{"TENANTWATCH_TOKEN"}}
)

// managerAt is where the manager is; services have a variable of their own for it.
func managerAt(more ...string) setting {
	return setting{what: "the manager", flag: "--manager-url", variables: append([]string{"TENANTWATCH_URL"}, more...)}
}

// settings puts together what the flags of a command and the environment say. Everything that is missing or makes no sense
// is named in one error.
func (c *connectionFlags) settings(command string, env func(string) string, stdin io.Reader) (settings, error) {
	l := &lookup{getenv: env}
	s := settings{service: l.service(c.Service)}
	s.managerURL, _ = l.url(managerAt("MULTI_TENANT_URL"), urlproblem.Manager, c.ManagerURL)
	s.tls = c.managerTLSFlags.resolve(l, s.managerURL)
	s.key = l.secret(apiKey, c.APIKeyFile, stdin)
	if environment := heardFrom; c.Environment == nil || *c.Environment != "" { // an empty flag means all
		s.environment = l.environment(environment, deref(c.Environment))
	}
	s.redis = c.redisFlags.resolve(l)
	return s, l.fault("\"tenantwatch dev --no-churn\" starts a manager and a Redis to try it with.", seeHelp(strings.TrimPrefix(command, "tenantwatch ")))
}

// service finds the name of a service.
func (l *lookup) service(value string) string {
	name, from := l.find(servedService, value)
	if strings.ContainsFunc(name, unicode.IsSpace) {
		l.problems.note(from + " has white space in it, which no name of a service has")
	}
	return name
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// secret finds what only files, standard input and variables may have: everybody on a machine can see its flags.
func (l *lookup) secret(s setting, file string, stdin io.Reader) keySource {
	from := s.flag
	if file == "" {
		file, from = l.secretFile(s), s.file
	}
	switch file {
	case "-":
		return keySource{name: standardInput, provide: readOnce(stdin)}
	case "":
		s.form = formSecret
		value, from := l.find(s, "")
		return keySource{name: from, provide: managerapi.StaticKey(value)}
	default:
		return keySource{name: from, provide: readFile(file)}
	}
}

// secretFile is the file that a variable names. Beside one that has the secret itself nobody can say which is meant.
func (l *lookup) secretFile(s setting) string {
	file := l.value(setting{what: "the file of " + s.what, variables: []string{s.file}, optional: true}, "")
	for _, direct := range s.variables {
		if file != "" && l.getenv(direct) != "" {
			l.problems.note(s.file + " and " + direct + " are both there: leave one out")
		}
	}
	return file
}

// client returns a client for the manager.
func (s settings) client(allowed bool) (*managerapi.Client, error) {
	return newManagerClient(s.tls, allowed, "API key",
		managerapi.Config{BaseURL: s.managerURL, APIKey: s.key.provide})
}

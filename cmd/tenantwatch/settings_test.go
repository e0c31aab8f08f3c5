package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// services is an environment as services have it.
func services() map[string]string {
	return map[string]string{
		"MULTI_TENANT_URL":             "https://multi.example",
		"MULTI_TENANT_SERVICE_API_KEY": "multi-key",
		"MULTI_TENANT_REDIS_HOST":      "multi-redis",
		"MULTI_TENANT_REDIS_PORT":      "7000",
		"MULTI_TENANT_REDIS_PASSWORD":  "multi-password",
		"MULTI_TENANT_REDIS_TLS":       "true",
		"ENVIRONMENT_NAME":             "production",
		"ENV_NAME":                     "prod",
		"APPLICATION_NAME":             "books",
	}
}

func with(env map[string]string, pairs ...string) map[string]string {
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return env
}

func TestSettings(t *testing.T) {
	none, staging := "", "staging"
	multi := redisevents.Config{Host: "multi-redis", Port: "7000", Password: "multi-password", TLS: true}
	tests := []struct {
		name                       string
		flags                      connectionFlags
		env                        map[string]string
		service, manager, environs string
		key                        string
		redis                      redisevents.Config
	}{
		{
			"as services have it",
			connectionFlags{},
			services(),
			"books", "https://multi.example", "production", "multi-key", multi,
		},
		{
			"our names go before those",
			connectionFlags{},
			with(services(), "TENANTWATCH_URL", "https://ours.example", "TENANTWATCH_API_KEY", "our-key", "TENANTWATCH_REDIS_URL", "redis://our-redis"),
			"books", "https://ours.example", "production", "our-key",
			redisevents.Config{Host: "our-redis", Port: "6379"},
		},
		{
			"flags go before all",
			connectionFlags{Service: "ledger", ManagerURL: "https://flag.example", redisFlags: redisFlags{RedisURL: "redis://:secret@flag-redis:1"}, Environment: &staging},
			with(services(), "TENANTWATCH_URL", "https://ours.example", "TENANTWATCH_REDIS_URL", "redis://our-redis"),
			"ledger", "https://flag.example", "staging", "multi-key",
			redisevents.Config{Host: "flag-redis", Port: "1", Password: "secret"},
		},
		{
			"an empty environment by flag means all",
			connectionFlags{Environment: &none},
			services(),
			"books", "https://multi.example", "", "multi-key", multi,
		},
		{
			"empty variables count as not there",
			connectionFlags{},
			with(services(), "TENANTWATCH_URL", "", "TENANTWATCH_API_KEY", "", "TENANTWATCH_REDIS_URL", "", "ENVIRONMENT_NAME", "", "MULTI_TENANT_REDIS_TLS", ""),
			"books", "https://multi.example", "prod", "multi-key",
			redisevents.Config{Host: "multi-redis", Port: "7000", Password: "multi-password"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := tt.flags.settings("tenantwatch follow", func(name string) string { return tt.env[name] }, strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			if s.service != tt.service || s.managerURL != tt.manager || s.environment != tt.environs {
				t.Errorf("service %q, manager %q, environment %q", s.service, s.managerURL, s.environment)
			}
			if key, err := s.key.provide(t.Context()); key != tt.key || err != nil {
				t.Errorf("key %q, %v, want %q", key, err, tt.key)
			}
			if s.redis.Host != tt.redis.Host || s.redis.Port != tt.redis.Port || s.redis.Password != tt.redis.Password || s.redis.TLS != tt.redis.TLS {
				t.Errorf("Redis %v with password %q, want %v", s.redis, s.redis.Password, tt.redis)
			}
		})
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	tests := []struct {
		name  string
		flags connectionFlags
		env   map[string]string
		want  string
	}{
		{"a port that is none", connectionFlags{}, with(services(), "MULTI_TENANT_REDIS_PORT", "tls"), "Port is not a number"},
		{"TLS that is neither", connectionFlags{}, with(services(), "MULTI_TENANT_REDIS_TLS", "maybe"), "MULTI_TENANT_REDIS_TLS is neither"},
		{"a certificate without TLS", connectionFlags{}, with(services(), "MULTI_TENANT_REDIS_TLS", "", "MULTI_TENANT_REDIS_CA_CERT", "eA=="), "CACertBase64"},
		{"a certificate that is none, for a URL", connectionFlags{redisFlags: redisFlags{RedisURL: "rediss://h"}}, with(services(), "MULTI_TENANT_REDIS_CA_CERT", "eA=="), "no certificate"},
		{"no Redis", connectionFlags{}, with(services(), "MULTI_TENANT_REDIS_HOST", ""), "Redis "},
		{"no key", connectionFlags{}, with(services(), "MULTI_TENANT_SERVICE_API_KEY", ""), "the API key "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.flags.settings("tenantwatch follow", func(name string) string { return tt.env[name] }, strings.NewReader(""))
			if _, ok := errors.AsType[*usageError](err); !ok || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a usage error with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "multi-password") || strings.Contains(err.Error(), "multi-key") {
				t.Errorf("a secret shows: %v", err)
			}
		})
	}
}

func TestTheKeyFileIsReadAnewForEveryRequest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	provide := readFile(path)
	for _, key := range []string{"old", "new"} {
		if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := provide(t.Context()); got != key || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, key)
		}
	}
	if err := os.WriteFile(path, make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := provide(t.Context()); err == nil {
		t.Error("a file that is far too large for a key was taken")
	}
}

func TestTheKeyOnStandardInputIsReadOnce(t *testing.T) {
	provide := readOnce(strings.NewReader("key\n"))
	for range 2 {
		if got, err := provide(context.Background()); strings.TrimSpace(got) != "key" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestAdvice(t *testing.T) {
	s := settings{service: "ledger", key: keySource{name: "--api-key-file"}}
	for want, err := range map[string]error{
		"the manager does not know it":  &managerapi.Error{StatusCode: http.StatusUnauthorized},
		`may read the service "ledger"`: &managerapi.Error{StatusCode: http.StatusForbidden},
		"Check the manager's URL: ":     &managerapi.Error{StatusCode: http.StatusNotFound},
		"too many requests":             &managerapi.Error{StatusCode: http.StatusTooManyRequests},
		"is running":                    &managerapi.Error{StatusCode: http.StatusServiceUnavailable},
		"Look at the log":               &managerapi.Error{StatusCode: http.StatusInternalServerError},
		"the API key in --api-key-file": errors.New("open key: no such file"),
	} {
		if got := adviceFor(s, err); !strings.Contains(got, want) {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

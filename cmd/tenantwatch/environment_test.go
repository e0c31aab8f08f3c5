package main

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

func TestX18NamesOfEnvironmentsInTheirNormalForm(t *testing.T) {
	env := map[string]string{
		"TENANTWATCH_ENVIRONMENT": " Staging ", "TENANTWATCH_ENCRYPTION_KEY_FILE": "key", "TENANTWATCH_REDIS_URL": "redis://h",
		"MULTI_TENANT_URL": "https://h", "MULTI_TENANT_SERVICE_API_KEY": "k", "APPLICATION_NAME": "Ledger", "ENV_NAME": " STAGING",
	}
	getenv := func(name string) string { return env[name] }
	serve, err := (&serveCommand{}).settings(getenv)
	if err != nil || serve.environment != "staging" {
		t.Errorf("serve: %q, %v", serve.environment, err)
	}
	for _, found := range serve.found {
		if found.Name == "environment" && found.Value != "staging" {
			t.Errorf("serve says that it works with %q", found.Value)
		}
	}
	flag := "StaginG"
	for _, flags := range []connectionFlags{{}, {Environment: &flag}} {
		follow, err := flags.settings("tenantwatch follow", getenv, strings.NewReader(""))
		if err != nil || follow.environment != "staging" || follow.service != "Ledger" {
			t.Errorf("follow: %q of %q, %v", follow.environment, follow.service, err)
		}
	}
	dev := devCommand{Tenants: 1, Service: "s", Environment: " Dev ", Listen: "127.0.0.1:0"}
	if err := dev.check(); err != nil || dev.Environment != "dev" {
		t.Errorf("dev: %q, %v", dev.Environment, err)
	}
}

func TestX18DefaultIsTheNameOfNoEnvironment(t *testing.T) {
	for name, args := range map[string][]string{
		"serve":         {"serve", "--environment", "Default", "--encryption-key-file", "k", "--redis-url", "redis://h"},
		"follow":        {"follow", "--environment", "default", "--service", "s", "--manager-url", "https://h", "--redis-url", "redis://h", "--api-key-file", "k"},
		"work":          {"work", "--environment", "default", "--service", "s", "--manager-url", "https://h", "--redis-url", "redis://h", "--api-key-file", "k", "--", "tenantwatch"},
		"dev":           {"dev", "--environment", "DEFAULT"},
		"token create":  {"token", "create", "--db", "sqlite:t.db", "--environment", "default", "--encryption-key-file", "k"},
		"restore":       {"restore", "--db", "sqlite:t.db", "--environment", "default", "--encryption-key-file", "k", "b.db"},
		"tenant create": {"tenant", "create", "Acme", "--environment", "default", "--manager-url", "https://127.0.0.1:1", "--token-file", "k"},
	} {
		var out strings.Builder
		code, stderr := call(t.Context(), &out, args...)
		if code != exitUsage || !strings.Contains(stderr, `"default" means that there is none`) {
			t.Errorf("%s: exit code %d, %s", name, code, stderr)
		}
	}
}

func TestX18ServeWarnsOfANameThatReadersDrop(t *testing.T) {
	for name, warned := range map[string]bool{"staging": false, "production": false, "prod": true, "dev": true} {
		var log strings.Builder
		warnOfName(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), name)
		if strings.Contains(log.String(), "environment="+name) != warned {
			t.Errorf("%s: %q", name, &log)
		}
	}
}

// TestX29TheManualsWayKeepsEveryCharacter runs the line of the manual that reads the file of variables.
func TestX29TheManualsWayKeepsEveryCharacter(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sh")
	}
	line := regexp.MustCompile(`(?m)^ *while IFS= read .*tenantwatch\.env$`).FindString(manual(t))
	file := filepath.Join(t.TempDir(), "tenantwatch.env")
	text := "# a comment & more\n\nTENANTWATCH_DB=postgres://u:p@h/n?a=$b&c=`d`\nTENANTWATCH_REDIS_URL=redis://'x' y\\z"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll(line, "/etc/tenantwatch/tenantwatch.env", file) + "\n" + `printf '%s\n%s' "$TENANTWATCH_DB" "$TENANTWATCH_REDIS_URL"`
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput()
	if want := "postgres://u:p@h/n?a=$b&c=`d`\nredis://'x' y\\z"; err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}

// TestX29NoSecondDatabase: a line end of Windows is not a part of a file's name.
func TestX29NoSecondDatabase(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("key", []byte(strings.Repeat("0f", encryptionKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	code, stderr := call(t.Context(), &out, "token", "create", "--db", "sqlite:t.db\r", "--environment", "staging", "--encryption-key-file", "key")
	if code != exitUsage || !strings.Contains(stderr, "--db has a control character in it, a carriage return") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if made, err := filepath.Glob("*"); err != nil || len(made) != 1 {
		t.Errorf("there are %q, %v", made, err)
	}
}

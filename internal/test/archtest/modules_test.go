package archtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// minimalWorker is a program that has a worker for each tenant and nothing else.
const minimalWorker = `package main

import (
	"context"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/worker"
)

func main() {
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: "https://tenants.example.com"})
	if err != nil {
		panic(err)
	}
	d, err := discovery.NewTenantDiscovery(discovery.Config{ServiceName: "ledger", TMClient: client, RedisConfig: redisevents.Config{Host: "redis"}})
	if err != nil {
		panic(err)
	}
	_, _ = d, worker.Config{Work: func(context.Context, string) error { return nil }}
}
`

// theLibraryBrings is what go list -m all says of a module with a minimal worker, without versions. A longer list is what everybody
// who adds the library has to look through.
var theLibraryBrings = []string{
	"example.org/worker",
	"github.com/alicebob/miniredis/v2", // of tests, as the next two
	"github.com/yuin/gopher-lua",
	"pgregory.net/rapid",
	"github.com/cespare/xxhash/v2",
	"github.com/go-logr/logr",
	"github.com/go-logr/stdr",
	"github.com/google/uuid",
	"github.com/redis/go-redis/v9",
	"github.com/sony/gobreaker/v2",
	"github.com/tenantwatch/tenantwatch",
	// What the tests of those need.
	"github.com/bsm/ginkgo/v2", "github.com/bsm/gomega", "github.com/davecgh/go-spew", "github.com/google/go-cmp",
	"github.com/klauspost/cpuid/v2", "github.com/pmezard/go-difflib", "github.com/stretchr/testify", "github.com/zeebo/xxh3",
	"go.yaml.in/yaml/v3", "gopkg.in/yaml.v3",
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/metric",
	"go.opentelemetry.io/otel/sdk",        // of tests
	"go.opentelemetry.io/otel/sdk/metric", // of tests
	"go.opentelemetry.io/otel/trace",
	"go.uber.org/atomic",
	"go.uber.org/goleak", // of tests
	"golang.org/x/sys",
}

// TestAMinimalWorker builds one in a module of its own, and holds which modules that needs.
func TestAMinimalWorker(t *testing.T) {
	dir := scratch(t, minimalWorker)
	run(t, dir, "go", "mod", "tidy")
	run(t, dir, "go", "build", "-o", os.DevNull, ".")
	var got []string
	for line := range strings.Lines(run(t, dir, "go", "list", "-m", "all")) {
		t.Log(strings.TrimSpace(line))
		got = append(got, strings.Fields(line)[0])
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(theLibraryBrings))
	for _, path := range got {
		if !slices.Contains(want, path) {
			t.Errorf("%s comes with the library now", path)
		}
	}
	for _, path := range want {
		if !slices.Contains(got, path) {
			t.Errorf("%s does not come any more: take it off the list", path)
		}
	}
}

// TestTheLibraryBesideOtherVersionsOfOpenTelemetry: the modules of its logs have no stable version, and each fits one version of
// the rest. A service that has one adds the library without an extra step.
func TestTheLibraryBesideOtherVersionsOfOpenTelemetry(t *testing.T) {
	for _, version := range []string{"v0.18.0", "v0.20.0"} {
		t.Run(version, func(t *testing.T) {
			dir := scratch(t, strings.Replace(minimalWorker, "func main() {", "var _ = log.NewLoggerProvider\n\nfunc main() {", 1))
			edit(t, filepath.Join(dir, "main.go"), `	"github.com/tenantwatch/tenantwatch/worker"`, "\t\"github.com/tenantwatch/tenantwatch/worker\"\n\t\"go.opentelemetry.io/otel/sdk/log\"")
			edit(t, filepath.Join(dir, "go.mod"), "require (", "require (\n\tgo.opentelemetry.io/otel/sdk/log "+version)
			run(t, dir, "go", "mod", "tidy")
			run(t, dir, "go", "build", "-o", os.DevNull, ".")
			if got := run(t, dir, "go", "list", "-m", "go.opentelemetry.io/otel/sdk/log"); !strings.Contains(got, version) {
				t.Errorf("got %s, want %s", got, version)
			}
		})
	}
}

// scratch makes a module with one program that uses the library from this tree.
func scratch(t *testing.T, program string) (dir string) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, text := range map[string]string{
		"main.go": program,
		"go.mod":  fmt.Sprintf("module example.org/worker\n\ngo 1.26\n\nrequire (\n\t%s v0.0.0\n)\n\nreplace %s => %s\n", module, module, root),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func edit(t *testing.T, file, before, after string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), before) {
		t.Fatalf("%s has no %q: %v", file, before, err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), before, after, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in the directory, outside of any workspace, and returns what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, stderr.String())
	}
	return string(out)
}

// Package archtest holds the rules between the packages of this module, as tests: who may import whom, what must never
// reach the library, and that the documents and their samples know of each other.
package archtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tenantwatch/tenantwatch"

// mayImport says which of our own packages a package may import outside its tests. A package that is not in the table
// has no right to be there: whoever adds one adds its row.
var mayImport = map[string][]string{
	"":                         {},
	"tenant":                   {"internal/jsonscan"},
	"managerapi":               {"tenant", "internal/backoff", "internal/jsonscan", "internal/usererror"},
	"redisevents":              {"tenant", "internal/backoff", "internal/urlproblem"},
	"discovery":                {"tenant", "redisevents", "internal/activeset", "internal/atomicfile", "internal/debugpage", "internal/usererror"},
	"internal/activeset":       {"tenant", "internal/backoff"},
	"worker":                   {"tenant", "internal/backoff", "internal/debugpage", "internal/usererror"},
	"tenanttest":               {"tenant", "managerapi", "internal/backoff", "internal/contract", "internal/lifecycle"},
	"cmd/internal/abuse":       {"cmd/internal/http2wire"},
	"cmd/internal/http2wire":   {},
	"internal/atomicfile":      {},
	"internal/backoff":         {},
	"internal/jsonscan":        {},
	"internal/debugpage":       {},
	"internal/usererror":       {},
	"internal/urlproblem":      {},
	"internal/contract":        {"tenant"},
	"internal/lifecycle":       {"tenant", "internal/contract"},
	"cmd/internal/sqldb":       {"internal/atomicfile"},
	"cmd/internal/store":       {"tenant", "internal/contract", "internal/lifecycle", "cmd/internal/sqldb"},
	"cmd/internal/process":     {"worker"},
	"cmd/internal/relay":       {"tenant", "redisevents", "internal/backoff", "cmd/internal/store"},
	"cmd/internal/server":      {"tenant", "managerapi", "internal/contract", "cmd/internal/store"},
	"internal/test/testserver": {},
	"internal/test/edges":      {},
	"internal/test/schedule":   {},
	"internal/test/planted":    {"internal/test/schedule"},
	"internal/test/archtest":   {},
	"bench":                    {"tenant", "managerapi", "discovery"},
	"cmd/tenantwatch": {
		"tenant", "managerapi", "redisevents", "discovery", "worker", "cmd/internal/store", "cmd/internal/relay", "cmd/internal/server", "cmd/internal/abuse", "cmd/internal/process",
		"internal/urlproblem",
	},
}

// notInTheLibrary are the database drivers and web frameworks, by the start of their import path. Whoever imports a
// library for its tenants must not get these with it.
var notInTheLibrary = []string{
	"database/sql", "modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/ncruces/go-sqlite3",
	"github.com/jackc/", "github.com/lib/pq", "github.com/go-sql-driver/", "github.com/microsoft/go-mssqldb",
	"go.mongodb.org/", "github.com/pressly/goose", "github.com/golang-migrate/", "github.com/jmoiron/sqlx",
	"gorm.io/", "entgo.io/", "github.com/uptrace/bun",
	"github.com/danielgtaylor/huma", "github.com/gin-gonic/", "github.com/labstack/echo", "github.com/gofiber/",
	"github.com/valyala/fasthttp", "github.com/go-chi/", "github.com/gorilla/", "github.com/julienschmidt/httprouter",
	"github.com/emicklei/go-restful", "github.com/beego/", "github.com/alicebob/miniredis", "github.com/alecthomas/kong",
	"net/http/pprof", "testing",
}

func TestPackagesImportWhatTheTableAllows(t *testing.T) {
	packages := listOrFail(t, "{{.ImportPath}}{{range .Imports}} {{.}}{{end}}", "./...", "./cmd/...")
	for _, line := range packages {
		words := strings.Fields(line)
		for _, problem := range badImports(words[0], words[1:]) {
			t.Error(problem)
		}
	}
}

// TestTheLibraryTestsWithoutTheBinary: the module at the root is one by itself, its tests included.
func TestTheLibraryTestsWithoutTheBinary(t *testing.T) {
	for _, line := range listOrFail(t, "{{.ImportPath}}{{range .TestImports}} {{.}}{{end}}{{range .XTestImports}} {{.}}{{end}}", "./...") {
		words := strings.Fields(line)
		for _, path := range words[1:] {
			if strings.HasPrefix(path, module+"/cmd/") {
				t.Errorf("a test of %s imports %s", words[0], path)
			}
		}
	}
}

func TestLibraryHoldsNoDatabaseDriverAndNoWebFramework(t *testing.T) {
	for _, pattern := range []string{"./discovery", "./redisevents", "./managerapi", "./worker"} {
		for _, dependency := range listOrFail(t, "{{.ImportPath}}", "-deps", pattern) {
			if start := startOf(dependency, notInTheLibrary); start != "" {
				t.Errorf("%s depends on %s, and must on nothing below %s", pattern, dependency, start)
			}
		}
	}
}

func TestTheImportTableCanFail(t *testing.T) {
	tests := []struct {
		name, importer string
		imports        []string
		want           int
	}{
		{"allowed", "/discovery", []string{module + "/tenant", module + "/redisevents", "fmt"}, 0},
		{"not in its row", "/discovery", []string{module + "/managerapi", module + "/tenant"}, 1},
		{"two not in its row", "/tenant", []string{module + "/managerapi", module + "/worker"}, 2},
		{"the root", "/worker", []string{module}, 1},
		{"no row", "/tenant/util", nil, 1},
		{"a package below an allowed one", "/worker", []string{module + "/tenant/internal/x"}, 1},
		{"the binary", "/cmd/tenantwatch", []string{module + "/discovery"}, 0},
		{"the binary, and a fake", "/cmd/tenantwatch", []string{module + "/tenanttest"}, 1},
		{"another module with our name as its start", "/tenant", []string{module + "-extras/x"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := badImports(module+tt.importer, tt.imports); len(got) != tt.want {
				t.Errorf("got %q, want %d problems", got, tt.want)
			}
		})
	}
}

func TestTheLibraryListCanFail(t *testing.T) {
	for dependency, forbidden := range map[string]bool{
		"github.com/jackc/pgx/v5/pgxpool": true, "database/sql": true, "database/sql/driver": true,
		"github.com/danielgtaylor/huma/v2": true, "go.mongodb.org/mongo-driver/mongo": true,
		"github.com/redis/go-redis/v9": false, "net/http": false, "testing/iotest": true, "testingx": false,
	} {
		if got := startOf(dependency, notInTheLibrary) != ""; got != forbidden {
			t.Errorf("%s: forbidden = %t, want %t", dependency, got, forbidden)
		}
	}
}

func TestAPatternThatMatchesNothingIsAnError(t *testing.T) {
	for _, pattern := range []string{"./nosuchpackage", "./nosuchpackage/..."} {
		if lines, err := list(t, "{{.ImportPath}}", "-deps", pattern); err == nil {
			t.Errorf("%s: got %q and no error", pattern, lines)
		}
	}
}

// badImports returns one line for each import of ours that the importer's row of the table does not allow.
func badImports(importer string, imports []string) []string {
	name, _ := ours(importer)
	row, ok := mayImport[name]
	if !ok {
		return []string{fmt.Sprintf("package %q is in no row of the import table", name)}
	}
	var problems []string
	for _, path := range imports {
		imported, isOurs := ours(path)
		if isOurs && !slices.Contains(row, imported) {
			problems = append(problems, fmt.Sprintf("%s imports %s; it may import %q of ours", importer, path, row))
		}
	}
	return problems
}

// ours returns the path inside our module, "" for its root.
func ours(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

// startOf returns the first of the starts that path is, or is below of.
func startOf(path string, starts []string) string {
	for _, start := range starts {
		if path == start || strings.HasPrefix(path, strings.TrimSuffix(start, "/")+"/") {
			return start
		}
	}
	return ""
}

func listOrFail(t *testing.T, format string, args ...string) []string {
	t.Helper()
	lines, err := list(t, format, args...)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// list runs go list in the root of the module and returns its lines. No line at all is an error: a rule that holds of
// nothing would hold for ever.
func list(t *testing.T, format string, args ...string) ([]string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-f", format}, args...)...)
	cmd.Dir = "../../.."
	cmd.Env = append(os.Environ(), "GOWORK=") // the one of the root, even where the library is tested without
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %q: %w: %s", args, err, &stderr)
	}
	if len(bytes.TrimSpace(out)) == 0 {
		return nil, errors.New("go list matched nothing: " + stderr.String())
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), nil
}

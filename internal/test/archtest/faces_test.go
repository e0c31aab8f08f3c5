package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// faces are where the project meets something that is not its own. Each has one edge matrix.
var faces = []string{"redis", "postgresql", "files", "http client", "http server", "processes", "settings"}

// outside are the imports by which a package may reach something outside, by the start of their path.
var outside = []string{"net", "os", "database/sql", "github.com/redis/go-redis", "github.com/jackc/pgx", "modernc.org/sqlite"}

// noFace are packages that import one of them and are in no matrix, and why.
var noFace = map[string]string{
	"bench":                    "it asks a manager of its own, in its own process",
	"cmd/internal/abuse":       "it is the hostile client of bench abuse",
	"cmd/internal/process":     "the matrix of processes is in cmd/tenantwatch, whose columns are what a user does to the binary",
	"internal/atomicfile":      "the matrix of files is in cmd/tenantwatch, whose columns are the files of a user",
	"internal/contract":        "it escapes a part of a path by net/url, and nothing else",
	"internal/debugpage":       "it writes a page to whoever asks for it",
	"internal/test/testserver": "it is what the matrices are made with",
	"internal/urlproblem":      "it reads a text by net/url, and nothing else",
	"internal/test/edges":      "it reads the source of the others",
	"internal/test/planted":    "it runs the tests of the others",
	"tenanttest":               "a fake in memory; what it serves is served by net/http/httptest",
	"worker":                   "its debug page alone; what it runs is the user's",
}

// TestEveryFaceHasItsMatrix: each face has a table, and each package that reaches outside is looked through by one.
func TestEveryFaceHasItsMatrix(t *testing.T) {
	tables := tablesOf(t)
	for _, face := range faces {
		if !slices.ContainsFunc(tables, func(table matrix) bool { return table.face == face }) {
			t.Errorf("the face %q has no edge matrix", face)
		}
	}
	for _, line := range listOrFail(t, "{{.ImportPath}}{{range .Imports}} {{.}}{{end}}", "./...", "./cmd/...") {
		words := strings.Fields(line)
		dir, _ := ours(words[0])
		reaches := slices.ContainsFunc(words[1:], func(path string) bool { return startOf(path, outside) != "" })
		inTable := slices.ContainsFunc(tables, func(table matrix) bool { return slices.Contains(table.packages, dir) })
		switch why := noFace[dir]; {
		case reaches && !inTable && why == "":
			t.Errorf("%s reaches outside and is in no edge matrix: add it to Packages of one, or to noFace with the reason", dir)
		case why != "" && (!reaches || inTable):
			t.Errorf("%s is in noFace and does not belong there: it reaches outside: %t, it is in a matrix: %t", dir, reaches, inTable)
		}
	}
}

func TestTheRuleOfFacesCanFail(t *testing.T) {
	const source = `package x
var _ = edges.Table{Face: "redis", Packages: []string{".", "../b"}}
var _ = other.Table{Face: "files"}
`
	got, err := tablesIn("a/x_test.go", source)
	if want := "[{redis [a b]}]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
}

// matrix is what a table says of itself.
type matrix struct {
	face     string
	packages []string // from the root of the module
}

func tablesOf(t *testing.T) []matrix {
	t.Helper()
	var found []matrix
	root := os.DirFS("../../..")
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		source, err := fs.ReadFile(root, file)
		if err != nil || !strings.Contains(string(source), "edges.Table{") {
			return err
		}
		tables, err := tablesIn(file, string(source))
		found = append(found, tables...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// tablesIn returns the composite literals of edges.Table in a source file.
func tablesIn(file, source string) ([]matrix, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []matrix
	ast.Inspect(tree, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if selector, is := isSelector(literal, ok); is && selector == "edges.Table" {
			found = append(found, matrixOf(path.Dir(file), literal))
		}
		return true
	})
	return found, nil
}

func isSelector(literal *ast.CompositeLit, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	selector, ok := literal.Type.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	pkg, ok := selector.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	return pkg.Name + "." + selector.Sel.Name, true
}

func matrixOf(dir string, literal *ast.CompositeLit) matrix {
	var m matrix
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch key, _ := pair.Key.(*ast.Ident); {
		case key == nil:
		case key.Name == "Face":
			m.face = strings.Join(stringsIn(pair.Value), "")
		case key.Name == "Packages":
			for _, name := range stringsIn(pair.Value) {
				m.packages = append(m.packages, path.Join(dir, name))
			}
		}
	}
	return m
}

// stringsIn returns the string literals of an expression.
func stringsIn(expression ast.Expr) []string {
	var found []string
	ast.Inspect(expression, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				found = append(found, text)
			}
		}
		return true
	})
	return found
}

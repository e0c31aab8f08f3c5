package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pure are the packages that decide and do nothing else, with what they may import besides tenant. Their callers
// give them the time, and take from them what is to be done.
var pure = map[string][]string{
	"internal/activeset": {"bytes", "cmp", "container/list", "encoding/binary", "errors", "fmt", module + "/internal/backoff", "hash/maphash", "iter", "maps", "math", "math/bits", "slices", "strings", "time"},
	"internal/backoff":   {"time"},
	"internal/contract":  {"bytes", "cmp", "crypto/sha256", "encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "io", "maps", "math", "mime", "net/url", "reflect", "slices", "strconv", "strings", "time", "unicode", "unicode/utf16", "unicode/utf8"},
	"internal/jsonscan":  {"bytes", "encoding/binary", "encoding/json", "math/bits", "unicode/utf8"},
	"internal/lifecycle": {"cmp", "encoding/json", "errors", "fmt", module + "/internal/contract", "maps", "slices", "strings", "time"},
}

// clocks are the functions of package time that read a clock or wait for one.
var clocks = map[string]bool{
	"Now": true, "Since": true, "Until": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true,
}

// TestWhatDecidesIsPure: no lock, no context, no clock, no goroutine, no channel, no I/O and no log.
func TestWhatDecidesIsPure(t *testing.T) {
	root := os.DirFS("../../..")
	for dir, allowed := range pure {
		files, err := fs.Glob(root, dir+"/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", dir, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := fs.ReadFile(root, file)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range impure(t, file, source, allowed) {
				t.Error(problem)
			}
		}
	}
}

func TestTheRuleOfWhatIsPureCanFail(t *testing.T) {
	for source, want := range map[string]int{
		"import \"sync\"\nvar mu sync.Mutex":                                 1,
		"import \"context\"\nfunc f(context.Context) {}":                     1,
		"import \"time\"\nvar f = time.Now":                                  1,
		"import \"time\"\nfunc f() { <-time.After(time.Second) }":            2,
		"import clock \"time\"\nvar f = clock.Now":                           1,
		"import \"time\"\nfunc f(a, b time.Time) bool { return a.After(b) }": 0,
		"func f() { go f() }":                                                1,
		"var c chan int":                                                     1,
		"func f(c []int) { for range c {} }":                                 0,
		"import \"example.org/x\"\nvar f = x.F":                              1,
		"import \"" + module + "/tenant\"\nvar f = tenant.Added":             0,
		"import . \"time\"\nvar f = Now":                                     1,
		"import \"fmt\"\nfunc f() { fmt.Println() }":                         1,
		"import \"fmt\"\nvar f = fmt.Sprint":                                 0,
	} {
		if got := impure(t, "x.go", []byte("package x\n"+source), []string{"fmt", "time"}); len(got) != want {
			t.Errorf("%s: found %q, want %d", source, got, want)
		}
	}
}

// impure returns what a file has that a pure package must not have.
func impure(t *testing.T, file string, source []byte, allowed []string) (problems []string) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	clock := ""
	add := func(n ast.Node, what string) { problems = append(problems, set.Position(n.Pos()).String()+": "+what) }
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if path == "time" {
			clock = "time"
			if spec.Name != nil {
				clock = spec.Name.Name
			}
		}
		if spec.Name != nil && spec.Name.Name == "." {
			add(spec, "its names come without the package: "+path)
		}
		if path != module+"/tenant" && !slices.Contains(allowed, path) {
			add(spec, "it imports "+path)
		}
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			add(n, "it starts a goroutine")
		case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
			add(n, "it has a channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				add(n, "it receives from a channel")
			}
		case *ast.SelectorExpr:
			of, ok := n.X.(*ast.Ident)
			if ok && clock != "" && of.Name == clock && clocks[n.Sel.Name] {
				add(n, "it reads a clock: "+clock+"."+n.Sel.Name)
			}
			if ok && of.Name == "fmt" && (strings.HasPrefix(n.Sel.Name, "Print") || strings.HasPrefix(n.Sel.Name, "Scan")) {
				add(n, "it uses the terminal: fmt."+n.Sel.Name)
			}
		}
		return true
	})
	return problems
}

package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
)

// excuse is the start of a comment, on the line of a sleep, that says why a test has to sleep in real time.
const excuse = "// in real time: "

// A test may sleep where time is not real, which is in a file that has synctest bubbles; in a loop between two looks at a
// condition, for some milliseconds or a named while; and with an excuse. A linter cannot tell these from the others.
func TestNoTestSleepsForReal(t *testing.T) {
	eachSource(t, func(file string) bool { return strings.HasSuffix(file, "_test.go") }, func(file string, source []byte) {
		for _, where := range realSleeps(t, file, source) {
			t.Errorf("%s: time.Sleep in real time: wait for the thing itself, with a deadline, or test in a synctest bubble, or say why with %q", where, excuse)
		}
	})
}

// eachSource looks at the Go files of the tree that are wanted, and fails when there are none.
func eachSource(t *testing.T, wanted func(file string) bool, look func(file string, source []byte)) {
	t.Helper()
	root := os.DirFS("../../..")
	seen := 0
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && file != "." && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(file, ".go") || !wanted(file) {
			return nil
		}
		seen++
		source, err := fs.ReadFile(root, file)
		if err == nil {
			look(file, source)
		}
		return err
	})
	if err != nil || seen == 0 {
		t.Fatalf("%d files, %v", seen, err)
	}
}

func TestTheRuleOfSleepsCanFail(t *testing.T) {
	const head, bubble = "package x\nimport \"time\"\n", "import \"testing/synctest\"\n"
	tests := []struct {
		name, source string
		want         int
	}{
		{"plain", head + "func f() { time.Sleep(time.Second) }", 1},
		{"milliseconds, but no loop", head + "func f() { time.Sleep(5 * time.Millisecond) }", 1},
		{"as a value", head + "var nap = time.Sleep", 1},
		{"seconds in a loop", head + "func f() { for { time.Sleep(time.Second) } }", 1},
		{"many milliseconds in a loop", head + "func f() { for { time.Sleep(500 * time.Millisecond) } }", 1},
		{"after a loop", head + "func f() { for { break }; time.Sleep(time.Millisecond) }", 1},
		{"another comment", head + "func f() { time.Sleep(time.Second) // real\n }", 1},
		{"an excuse on another line", head + "func f() { // in real time: so\n time.Sleep(time.Second) }", 1},
		{"an excuse", head + "func f() { time.Sleep(time.Second) // in real time: so\n }", 0},
		{"a named poll", head + "func f() { for ; ; time.Sleep(pollEvery) {} }", 0},
		{"a poll in the body", head + "func f() { for { time.Sleep(5 * time.Millisecond) } }", 0},
		{"a poll in the head", head + "func f() { for ; ; time.Sleep(time.Millisecond) {} }", 0},
		{"a file with bubbles", head + bubble + "func f() { time.Sleep(time.Hour) }", 0},
		{"another Sleep", head + "func f() { clock.Sleep(time.Hour) }", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := realSleeps(t, "x_test.go", []byte(tt.source)); len(got) != tt.want {
				t.Errorf("got %q, want %d", got, tt.want)
			}
		})
	}
}

// realSleeps returns where a file sleeps in a way that the rule does not allow.
func realSleeps(t *testing.T, file string, source []byte) []string {
	t.Helper()
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if imports(tree, "testing/synctest") {
		return nil
	}
	excused := map[int]bool{}
	for _, group := range tree.Comments {
		if strings.HasPrefix(group.List[0].Text, excuse) {
			excused[files.Position(group.Pos()).Line] = true
		}
	}
	polls := map[ast.Node]bool{}
	var found []string
	ast.Inspect(tree, func(n ast.Node) bool {
		if loop, ok := n.(*ast.ForStmt); ok {
			notePolls(loop, polls)
		}
		if !isSleep(n) || polls[n] {
			return true
		}
		if where := files.Position(n.Pos()); !excused[where.Line] {
			found = append(found, where.String())
		}
		return true
	})
	return found
}

// notePolls adds the short sleeps inside the loop.
func notePolls(loop *ast.ForStmt, polls map[ast.Node]bool) {
	ast.Inspect(loop, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if ok && isSleep(call.Fun) && len(call.Args) == 1 && isShort(call.Args[0]) {
			polls[call.Fun] = true
		}
		return true
	})
}

// isShort reports whether the expression is a name, or time.Millisecond, or up to a hundred of them, in figures.
func isShort(duration ast.Expr) bool {
	if _, named := duration.(*ast.Ident); named {
		return true
	}
	product, ok := duration.(*ast.BinaryExpr)
	if !ok {
		return isTime(duration, "Millisecond")
	}
	factor, ok := product.X.(*ast.BasicLit)
	if !ok || product.Op != token.MUL || !isTime(product.Y, "Millisecond") {
		return false
	}
	n, err := strconv.Atoi(factor.Value)
	return err == nil && n <= 100
}

func isSleep(n ast.Node) bool {
	expr, ok := n.(ast.Expr)
	return ok && isTime(expr, "Sleep")
}

func isTime(expr ast.Expr, name string) bool {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	pkg, ok := selector.X.(*ast.Ident)
	return ok && pkg.Name == "time"
}

func imports(tree *ast.File, wanted string) bool {
	for _, spec := range tree.Imports {
		if spec.Path.Value == strconv.Quote(wanted) {
			return true
		}
	}
	return false
}

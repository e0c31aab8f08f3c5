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
	"strings"
	"testing"
)

// What a function and a file may have at most. Tests may be longer.
const (
	mostFunctionLines = 45
	mostCyclomatic    = 15
	mostFileLines     = 400
)

// figures are those of a package.
type figures struct {
	files, lines, functions int
	longest, mostComplex    function
	largest                 string
	largestLines            int
}

type function struct {
	name              string
	lines, cyclomatic int
}

// TestFiguresOfFunctionsAndFiles prints them for each package.
func TestFiguresOfFunctionsAndFiles(t *testing.T) {
	all := map[string]*figures{}
	root := os.DirFS("../../..")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (name == "bin" || strings.HasPrefix(entry.Name(), ".") && name != "." || entry.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		of := all[path.Dir(name)]
		if of == nil {
			of = &figures{}
			all[path.Dir(name)] = of
		}
		for _, problem := range of.add(t, name, source) {
			t.Error(problem)
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%d packages, %v", len(all), err)
	}
	for _, dir := range slices.Sorted(keysOf(all)) {
		f := all[dir]
		t.Logf("%-32s %3d files %6d lines, largest %s (%d); %4d functions, longest %s (%d lines), most branches %s (%d)", dir,
			f.files, f.lines, f.largest, f.largestLines, f.functions, f.longest.name, f.longest.lines, f.mostComplex.name, f.mostComplex.cyclomatic)
	}
}

func keysOf[V any](of map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for key := range of {
			if !yield(key) {
				return
			}
		}
	}
}

func TestTheRuleOfFiguresCanFail(t *testing.T) {
	long := "func f() {\n" + strings.Repeat("\tg()\n", mostFunctionLines) + "}\n"
	branches := "func f(a bool) {\n" + strings.Repeat("\tif a || !a {\n\t}\n", (mostCyclomatic+1)/2) + "}\n"
	for source, want := range map[string]int{
		"func f() {}\n": 0,
		long:            1,
		branches:        1,
		strings.Repeat("var _ = 1\n", mostFileLines):                                1,
		"func f(a int) {\n\tswitch a {\n\tcase 1:\n\tcase 2:\n\tdefault:\n\t}\n}\n": 0,
	} {
		if got := (&figures{}).add(t, "x.go", []byte("package x\n"+source)); len(got) != want {
			t.Errorf("%.40q: %v, want %d", source, got, want)
		}
	}
}

// add takes in a file, and returns what is too much in it.
func (f *figures) add(t *testing.T, name string, source []byte) (problems []string) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(string(source), "\n")
	f.files, f.lines = f.files+1, f.lines+lines
	if lines > f.largestLines {
		f.largest, f.largestLines = path.Base(name), lines
	}
	if lines > mostFileLines {
		problems = append(problems, fmt.Sprintf("%s has %d lines, at most %d", name, lines, mostFileLines))
	}
	for _, decl := range parsed.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		f.functions++
		one := function{fn.Name.Name, set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1, cyclomatic(fn)}
		if one.lines > f.longest.lines {
			f.longest = one
		}
		if one.cyclomatic > f.mostComplex.cyclomatic {
			f.mostComplex = one
		}
		if one.lines > mostFunctionLines || one.cyclomatic > mostCyclomatic {
			problems = append(problems, fmt.Sprintf("%s: %s has %d lines and a cyclomatic complexity of %d; at most %d and %d",
				name, one.name, one.lines, one.cyclomatic, mostFunctionLines, mostCyclomatic))
		}
	}
	return problems
}

// cyclomatic is McCabe's number: one, and one for each branch, loop, case and condition.
func cyclomatic(fn *ast.FuncDecl) int {
	n := 1
	ast.Inspect(fn, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if node.List != nil {
				n++
			}
		case *ast.CommClause:
			if node.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if node.Op == token.LAND || node.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

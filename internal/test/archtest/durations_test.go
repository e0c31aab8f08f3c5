package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// A duration in a log line is a text, "1.5s": slog's own form is one in text, and a number of nanoseconds in JSON.
func TestDurationsInLogsAreTexts(t *testing.T) {
	eachSource(t, func(file string) bool { return !strings.HasSuffix(file, "_test.go") }, func(file string, source []byte) {
		for _, where := range slogDurations(t, file, source) {
			t.Errorf(`%s: this is a number of nanoseconds in JSON: write slog.String("name", d.String())`, where)
		}
	})
}

func TestTheRuleOfDurationsCanFail(t *testing.T) {
	const head = "package x\nimport \"log/slog\"\n"
	for source, want := range map[string]int{
		`var a = slog.Duration("a", 1)`: 1, `var a = slog.DurationValue(1)`: 1, `var make = slog.Duration`: 1,
		`var a = slog.String("a", d.String())`: 0, `var a = time.Duration(1)`: 0,
	} {
		if got := slogDurations(t, "x.go", []byte(head+source)); len(got) != want {
			t.Errorf("%s: got %q, want %d", source, got, want)
		}
	}
}

// slogDurations returns where a file makes an attribute or a value of a duration.
func slogDurations(t *testing.T, file string, source []byte) []string {
	t.Helper()
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(tree, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains([]string{"Duration", "DurationValue"}, selector.Sel.Name) {
			return true
		}
		if pkg, ok := selector.X.(*ast.Ident); ok && pkg.Name == "slog" {
			found = append(found, files.Position(n.Pos()).String())
		}
		return true
	})
	return found
}

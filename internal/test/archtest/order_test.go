package archtest

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mostBackwards is how many arrows between the files of a package may run against the best order to read them in. An arrow leads from
// a file to one that declares what it uses. In a package that reads well from the first file to the last there is none.
var mostBackwards = map[string]int{
	"discovery":            10,
	"internal/activeset":   10,
	"cmd/internal/sqldb":   10,
	"cmd/internal/store":   10,
	"cmd/internal/process": 10,
	"cmd/tenantwatch":      40,
}

// TestFilesCanBeReadInAnOrder prints the figures of each package, and the order.
func TestFilesCanBeReadInAnOrder(t *testing.T) {
	for dir, most := range mostBackwards {
		arrows := arrowsOf(t, filepath.Join("..", "..", "..", dir))
		order, backwards := bestOrder(arrows)
		t.Logf("%s: %d files, %d arrows, %d of them against the order %s", dir, len(arrows), count(arrows), len(backwards), strings.Join(order, " "))
		if len(backwards) > most {
			t.Errorf("%s: %d arrows run against the best order, at most %d may:\n%s", dir, len(backwards), most, strings.Join(backwards, "\n"))
		}
	}
}

func TestTheOrderOfFilesCanFail(t *testing.T) {
	circle := map[string]map[string]string{"a": {"b": "B"}, "b": {"c": "C"}, "c": {"a": "A"}, "d": {"a": "A"}}
	order, backwards := bestOrder(circle)
	if len(order) != 4 || len(backwards) != 1 {
		t.Errorf("a circle of three: %v, %v; want one arrow backwards", order, backwards)
	}
	line := map[string]map[string]string{"a": {"b": "B", "c": "C"}, "b": {"c": "C"}, "c": {}}
	if order, backwards := bestOrder(line); len(backwards) != 0 || strings.Join(order, "") != "cba" {
		t.Errorf("a line: %v, %v", order, backwards)
	}
}

// arrowsOf returns, for each file of a package, the files that declare what it uses, with one of the names.
func arrowsOf(t *testing.T, dir string) map[string]map[string]string {
	t.Helper()
	set, trees := token.NewFileSet(), []*ast.File{}
	arrows := map[string]map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !isPartOf(dir, entry.Name()) {
			continue
		}
		tree, err := parser.ParseFile(set, filepath.Join(dir, entry.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		trees, arrows[entry.Name()] = append(trees, tree), map[string]string{}
	}
	uses := map[*ast.Ident]types.Object{}
	config := types.Config{Importer: nothing{}, Error: func(error) {}} // what is imported is not known, and need not be
	pkg, _ := config.Check(dir, set, trees, &types.Info{Uses: uses})
	for id, object := range uses {
		if object.Pkg() != pkg || !isTop(object, pkg) {
			continue
		}
		from, to := filepath.Base(set.Position(id.Pos()).Filename), filepath.Base(set.Position(object.Pos()).Filename)
		if from != to {
			arrows[from][to] = object.Name()
		}
	}
	return arrows
}

// isPartOf reports whether a file is one to be read on this system.
func isPartOf(dir, name string) bool {
	match, err := build.Default.MatchFile(dir, name)
	return err == nil && match && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && name != "doc.go"
}

// isTop reports whether the object is declared at the top of a file: a function, a method, a type, a constant or a variable.
func isTop(object types.Object, pkg *types.Package) bool {
	if _, ok := object.(*types.Func); ok {
		return true
	}
	return object.Parent() == pkg.Scope()
}

// nothing is an importer whose packages are empty.
type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, filepath.Base(strings.TrimSuffix(path, "/v9")))
	pkg.MarkComplete()
	return pkg, nil
}

func count(arrows map[string]map[string]string) (n int) {
	for _, to := range arrows {
		n += len(to)
	}
	return n
}

// bestOrder looks for the order with the fewest arrows that lead to a later file: from several beginnings it moves one file after
// the other to where it does least harm, until nothing gets better.
func bestOrder(arrows map[string]map[string]string) (order, backwards []string) {
	first := slices.Sorted(maps.Keys(arrows))
	random := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // to be repeated
	for range 20 {
		tried := improve(slices.Clone(first), arrows)
		if found := against(tried, arrows); order == nil || len(found) < len(backwards) {
			order, backwards = tried, found
		}
		random.Shuffle(len(first), func(i, j int) { first[i], first[j] = first[j], first[i] })
	}
	return order, backwards
}

func improve(order []string, arrows map[string]map[string]string) []string {
	for better := true; better; {
		better = false
		for _, file := range slices.Clone(order) {
			at := slices.Index(order, file)
			rest := slices.Delete(slices.Clone(order), at, at+1)
			best, least := at, harm(rest, at, file, arrows)
			for i := range order {
				if n := harm(rest, i, file, arrows); n < least {
					best, least, better = i, n, true
				}
			}
			order = slices.Insert(rest, best, file)
		}
	}
	return order
}

// harm is how many arrows of the file, and to it, lead to a later file when it stands at the place.
func harm(rest []string, at int, file string, arrows map[string]map[string]string) (n int) {
	for i, other := range rest {
		if _, uses := arrows[other][file]; uses && i < at {
			n++
		}
		if _, uses := arrows[file][other]; uses && i >= at {
			n++
		}
	}
	return n
}

func against(order []string, arrows map[string]map[string]string) (found []string) {
	place := map[string]int{}
	for i, file := range order {
		place[file] = i
	}
	for from, to := range arrows {
		for file, name := range to {
			if place[file] > place[from] {
				found = append(found, fmt.Sprintf("%s uses %s of %s", from, name, file))
			}
		}
	}
	slices.Sort(found)
	return found
}

package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// listed are the packages whose doc comment lists their files in the order in which they are read.
var listed = []string{
	"tenant", "managerapi", "redisevents", "discovery", "worker", "tenanttest",
	"internal/activeset", "internal/contract", "internal/jsonscan", "internal/lifecycle",
	"cmd/internal/store", "cmd/internal/sqldb", "cmd/internal/relay", "cmd/internal/server", "cmd/internal/process", "cmd/internal/abuse", "cmd/tenantwatch",
}

// TestPackagesListTheirFiles: all of them, and none that is not there.
func TestPackagesListTheirFiles(t *testing.T) {
	for _, dir := range listed {
		t.Run(dir, func(t *testing.T) {
			files, doc := filesAndDoc(t, filepath.Join("..", "..", "..", dir))
			for _, problem := range unlisted(files, doc) {
				t.Error(problem)
			}
		})
	}
}

func TestTheRuleOfListsCanFail(t *testing.T) {
	for doc, want := range map[string]int{
		"a.go, b_*.go": 0, "a.go": 2, "a.go, b_*.go, c.go": 1, "": 3, "data.go, b_*.go": 2,
	} {
		if got := unlisted([]string{"a.go", "b_linux.go", "b_other.go"}, doc); len(got) != want {
			t.Errorf("%q: %v, want %d", doc, got, want)
		}
	}
}

func filesAndDoc(t *testing.T, dir string) (files []string, doc string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.Doc != nil {
			doc += parsed.Doc.Text()
		}
		if name != "doc.go" {
			files = append(files, name)
		}
	}
	return files, doc
}

var fileName = regexp.MustCompile(`[\w*]+\.go\b`)

// unlisted returns the files that the text does not name, and the names of none.
func unlisted(files []string, text string) (problems []string) {
	names := fileName.FindAllString(text, -1)
	matches := func(name, file string) bool {
		ok, err := filepath.Match(name, file)
		return ok && err == nil
	}
	for _, file := range files {
		if !slices.ContainsFunc(names, func(name string) bool { return matches(name, file) }) {
			problems = append(problems, fmt.Sprintf("%s is not in the list", file))
		}
	}
	for _, name := range names {
		if name != "doc.go" && !slices.ContainsFunc(files, func(file string) bool { return matches(name, file) }) {
			problems = append(problems, fmt.Sprintf("the list has %s, which is not there", name))
		}
	}
	return problems
}

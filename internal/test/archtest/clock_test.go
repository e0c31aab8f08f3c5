package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// wallClock are the methods of time.Time that leave only what the clock on the wall says, which may jump, and the functions
// that make a time of that alone.
var wallClock = map[string]bool{
	"Unix": true, "UnixMilli": true, "UnixMicro": true, "UnixNano": true, "Round": true, "Truncate": true, "UTC": true,
	"Local": true, "In": true, "AddDate": true, "Date": true,
}

// onTheWall is where discovery may do that, and why it does not matter there when the clock jumps.
var onTheWall = map[string]string{
	"internal/activeset/recentids.go UnixNano": "a part of what makes two events the same; it is the event's timestamp, not a clock of ours",
	"internal/activeset/snapshots.go Round":    "of a duration",
	"discovery/snapshotfile.go Unix":           "the file is for another process, whose monotonic clock is another one",
	"discovery/snapshotfile.go UTC":            "the same",
	"discovery/snapshotfile.go UnixNano":       "compared for being the same, not for being later",
}

// TestD19NothingComparesWallClocks: when a clock jumps by an hour, nothing in discovery may be an hour late or early. All
// its times are those of time.Now, whose differences come from the monotonic clock unless that was taken off.
func TestD19NothingComparesWallClocks(t *testing.T) {
	root := os.DirFS("../../..")
	var files []string
	for _, pattern := range []string{"discovery/*.go", "internal/activeset/*.go"} {
		found, err := fs.Glob(root, pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	used := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := fs.ReadFile(root, file)
		if err != nil {
			t.Fatal(err)
		}
		for where, what := range stripped(t, file, source) {
			used[file+" "+what] = true
			if onTheWall[file+" "+what] == "" {
				t.Errorf("%s: .%s takes the monotonic clock off: work with what time.Now gave, or add a reason to onTheWall", where, what)
			}
		}
	}
	for entry := range onTheWall {
		if !used[entry] {
			t.Errorf("onTheWall has %q, which is not there any more", entry)
		}
	}
}

func TestTheRuleOfWallClocksCanFail(t *testing.T) {
	const head = "package x\nimport \"time\"\n"
	for source, want := range map[string]int{
		"func f(a, b time.Time) bool { return a.UTC().After(b) }":      1,
		"func f(a time.Time) int64 { return a.Unix() }":                1,
		"func f(a time.Time) { _ = a.Round(0).Before(a.Truncate(0)) }": 2,
		"var f = time.Unix(0, 0)":                                      1,
		"func f(a, b time.Time) time.Duration { return a.Sub(b) }":     0,
		"var f = time.Since":                                           0,
	} {
		if got := stripped(t, "x.go", []byte(head+source)); len(got) != want {
			t.Errorf("%s: found %v, want %d", source, got, want)
		}
	}
}

// stripped returns the calls in a file that take the monotonic clock off, by their place. It knows no types: whatever has
// such a method counts.
func stripped(t *testing.T, file string, source []byte) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(tree, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok && wallClock[selector.Sel.Name] {
			found[set.Position(selector.Sel.Pos()).String()] = selector.Sel.Name
		}
		return true
	})
	return found
}

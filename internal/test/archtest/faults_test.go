package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// faultRows is how many rows each table has: faults of a discovery, faults of a manager, security, faults of workers, and
// what was found at the edges.
var faultRows = map[string]int{"D": 34, "M": 13, "S": 13, "W": 3, "X": 48}

// withoutTests stands in the last column of a row that has no tests yet, which is allowed to rows of X alone, and to D31 to
// D34: they say what is right, and are being made so.
const withoutTests = "–"

var (
	faultRow  = regexp.MustCompile(`(?m)^\| ([DMSWX])(\d+) \|.*\| ([^|]+) \|$`)
	faultTest = regexp.MustCompile(`(?m)^func Test([DMSWX]\d\d)[A-Z]\w*\(t \*testing\.T\)`)
)

// TestEveryFaultHasItsTests: each row of the tables in docs/guarantees.md has tests that begin with its number, in each of the
// packages that it names at least.
func TestEveryFaultHasItsTests(t *testing.T) {
	text, err := os.ReadFile(path.Join(docs, "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := rowsOf(string(text))
	found := testsOfRows(t)
	for table, rows := range faultRows {
		for i := range rows {
			row := fmt.Sprintf("%s%02d", table, i+1)
			if slices.Equal(named[row], []string{withoutTests}) && (table == "X" || row > "D30") {
				named[row] = nil
			} else if len(named[row]) == 0 {
				t.Errorf("docs/guarantees.md has no row %s, or none that names a package", row)
			}
			if !slices.Equal(named[row], found[row]) {
				t.Errorf("docs/guarantees.md says that tests of row %s are in %v; there are some in %v", row, named[row], found[row])
			}
		}
	}
	for row := range found {
		if _, there := named[row]; !there {
			t.Errorf("there are tests of a row %s, which docs/guarantees.md does not have", row)
		}
	}
}

func TestTheRuleOfFaultsCanFail(t *testing.T) {
	rows := rowsOf("| D7 | a | b | discovery |\n| D12 | a | b | managerapi, discovery, real |\n| S1 | a | c |\n| D3 no row\n")
	if want := "map[D07:[discovery] D12:[discovery managerapi] S01:[c]]"; fmt.Sprint(rows) != want {
		t.Errorf("read %v, want %s", rows, want)
	}
	const source = "func TestD07Restored(t *testing.T) {\n// func TestD08No(t *testing.T)\nfunc TestD9Short(t *testing.T) {\nfunc helperTestD10(t *testing.T) {\nfunc TestD11(t *testing.T) {\n"
	if got := faultTest.FindAllStringSubmatch(source, -1); len(got) != 1 || got[0][1] != "D07" {
		t.Errorf("found %v, want D07 alone", got)
	}
}

// rowsOf returns the packages that each row of the table names.
func rowsOf(text string) map[string][]string {
	rows := map[string][]string{}
	for _, match := range faultRow.FindAllStringSubmatch(text, -1) {
		packages := slices.DeleteFunc(strings.Split(match[3], ", "), func(name string) bool { return name == "real" })
		slices.Sort(packages)
		rows[match[1]+strings.Repeat("0", max(0, 2-len(match[2])))+match[2]] = packages
	}
	return rows
}

// testsOfRows returns the packages in which there are tests of each row.
func testsOfRows(t *testing.T) map[string][]string {
	t.Helper()
	rows := map[string][]string{}
	root := os.DirFS("../../..")
	err := fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(file, "_test.go"):
			return nil
		}
		source, err := fs.ReadFile(root, file)
		for _, match := range faultTest.FindAllStringSubmatch(string(source), -1) {
			if dir := path.Dir(file); !slices.Contains(rows[match[1]], dir) {
				rows[match[1]] = append(rows[match[1]], dir)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, packages := range rows {
		slices.Sort(packages)
	}
	return rows
}

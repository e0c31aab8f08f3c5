package edges

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestExportedFindsWhatMayReachOutside(t *testing.T) {
	dir := t.TempDir()
	const source = `package x
import "context"
type T struct{}
type hidden struct{}
type G[K any] struct{}
func (t *T) Dial(ctx context.Context) {}
func (t T) Close() error { return nil }
func (t T) Len() int { return 0 }
func (t T) close() error { return nil }
func (h hidden) Close() error { return nil }
func (g *G[K]) Load() (K, error) { panic(0) }
func Open() (*T, error) { return nil, nil }
func Name() string { return "" }
`
	write(t, dir, "a.go", source)
	write(t, dir, "a_test.go", "package x\nfunc InATest() error { return nil }\n")
	got, err := Exported(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"G.Load", "Open", "T.Close", "T.Dial"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestATableMayLeaveNothingOpen(t *testing.T) {
	run := Cell{Run: func(*testing.T) {}}
	whole := Table{
		Face: "x", Faults: []string{"refuses"}, Operations: []string{"Open"}, Inside: map[string]string{"T.Close": "waits for nobody"},
		Cell: func(_, _ string) Cell { return run },
	}
	tests := []struct {
		name   string
		change func(*Table)
		want   string
	}{
		{"whole", func(*Table) {}, ""},
		{"a cell is open", func(x *Table) { x.Cell = func(_, _ string) Cell { return Cell{} } }, "has to be run"},
		{"a cell is run and never happens", func(x *Table) { x.Cell = func(_, _ string) Cell { return Cell{Run: run.Run, Never: "so"} } }, "has to be run"},
		{"a row twice", func(x *Table) { x.Faults = []string{"refuses", "refuses"} }, "twice"},
		{"no column", func(x *Table) { x.Operations = nil }, "there is none"},
		{"inside for no reason", func(x *Table) { x.Inside = map[string]string{"T.Close": ""} }, "without a reason"},
		{"inside and a column", func(x *Table) { x.Inside = map[string]string{"Open": "so"} }, "a column as well"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table := whole
			tt.change(&table)
			got := strings.Join(table.problems(), "\n")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAFunctionWithoutAColumnIsFound(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.go", "package x\nfunc Open() error { return nil }\nfunc Close() error { return nil }\nfunc New() error { return nil }\n")
	table := Table{Packages: []string{dir}, Operations: []string{"Open"}, Inside: map[string]string{"Close": "waits for nobody"}}
	if got := unlisted(t, table); !slices.Equal(got, []string{"New"}) {
		t.Errorf("got %q, want New alone", got)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

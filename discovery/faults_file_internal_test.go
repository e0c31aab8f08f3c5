package discovery

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/internal/atomicfile"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// saveForEver, in the environment, makes the test binary a process that only writes that snapshot file, over and over.
const saveForEver = "TENANTWATCH_TEST_SAVE_FOR_EVER"

// fileTenants are enough that writing them takes a while.
const fileTenants = 5000

// saver is a discovery that only saves, and two states to be saved by turns: each has its own tenants.
func saver(t testing.TB, path string) (d *TenantDiscovery, states [2]savedState) {
	t.Helper()
	for i, kind := range []string{"even", "odd"} {
		ids := make([]string, fileTenants)
		for j := range ids {
			ids[j] = fmt.Sprintf("%s-%d", kind, j)
		}
		states[i] = savedState{set: setOf(ids...), at: int64(i) + 1}
	}
	return &TenantDiscovery{cfg: Config{ServiceName: "ledger", SnapshotFile: path}}, states
}

// wantOneState fails unless the file is wholly one of the two.
func wantOneState(t testing.TB, path string, states [2]savedState) {
	t.Helper()
	saved, err := readSaved(path)
	if err != nil {
		t.Fatalf("the file is neither the old one nor the new one: %v", err)
	}
	slices.Sort(saved.Tenants)
	for _, state := range states {
		if strings.Join(saved.Tenants, " ") == idsOf(state.set) {
			return
		}
	}
	t.Fatalf("the file has a mix of %d tenants", len(saved.Tenants))
}

// TestSaveForEver is not a test, but the process that TestD17KilledWhileWriting kills.
func TestSaveForEver(t *testing.T) {
	path := os.Getenv(saveForEver)
	if path == "" {
		t.Skip("it runs as the other process of TestD17KilledWhileWriting only")
	}
	d, states := saver(t, path)
	if err := atomicfile.RemoveLeft(path, pendingSuffix); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if err := d.save(states[i%2]); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			_, _ = os.Stdout.WriteString("saving\n") // if nobody reads it, nobody waits for it
		}
	}
}

// TestD17KilledWhileWriting: a process that writes the file is killed at random points, many times. The file is always the
// old one or the new one, and what the killed ones were about to write does not pile up.
func TestD17KilledWhileWriting(t *testing.T) {
	const kills = 10
	dir := t.TempDir()
	temp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "tenants.snapshot")
	_, states := saver(t, path)
	for range kills {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSaveForEver$") //nolint:gosec // the test itself
		child.Env = append(os.Environ(), saveForEver+"="+path, "TMPDIR="+temp, "TMP="+temp)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != "saving\n" {
			rest, _ := io.ReadAll(out)
			t.Fatalf("the writing process said %q%s, %v", line, rest, err)
		}
		<-time.After(rand.N(20 * time.Millisecond)) //nolint:gosec // the point at which it is killed
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // it says that it was killed
		wantOneState(t, path, states)
	}
	left, err := filesIn(dir, temp)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 2 {
		t.Errorf("%d kills have left %d files: %v", kills, len(left), left)
	}
}

// filesIn returns the names of the files in the directories.
func filesIn(dirs ...string) (names []string, err error) {
	for _, dir := range dirs {
		entries, readErr := os.ReadDir(dir)
		err = errors.Join(err, readErr)
		for _, entry := range entries {
			if !entry.IsDir() {
				names = append(names, entry.Name())
			}
		}
	}
	return names, err
}

// setOf returns a set of the tenants.
func setOf(ids ...string) activeset.Set {
	var rows activeset.Rows
	for _, id := range ids {
		rows.Add(tenant.Row{ID: []byte(id)})
	}
	core := activeset.New(activeset.Config{})
	core.Begin()
	if err := core.Answer(time.Time{}, core.Ask(time.Time{}), activeset.Answer{Rows: rows}); err != nil {
		panic(err)
	}
	return core.Set()
}

// idsOf returns the ids of a set, in their order.
func idsOf(set activeset.Set) string {
	ids := set.IDs()
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

package atomicfile

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
)

const suffix = ".pending"

func TestTheNewContentIsThereAsAWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, text := range []string{"first", "second"} {
		if err := Replace(path, suffix, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != text {
			t.Errorf("%q, %v; want %q", data, err, text)
		}
	}
	if names := namesIn(t, dir); !slices.Equal(names, []string{"a"}) {
		t.Errorf("there are %q", names)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may use it: %v, %v", info, err)
	}
}

// TestWhatFailsLeavesNothing: a directory cannot be replaced.
func TestWhatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, suffix, nil); err == nil {
		t.Error("it has replaced a directory")
	}
	if names := namesIn(t, dir); !slices.Equal(names, []string{"a"}) {
		t.Errorf("there are %q", names)
	}
}

func TestWhatIsLeftIsRemovedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	left, err := Create(filepath.Join(dir, "a"), suffix)
	if err == nil {
		err = left.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	others := []string{"a", "a.1.old", "a.b.1.pending", "a.pending", "ab.1.pending"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveLeft(filepath.Join(dir, "a"), suffix); err != nil {
		t.Fatal(err)
	}
	if names := namesIn(t, dir); !slices.Equal(names, others) {
		t.Errorf("there are %q, want %q", names, others)
	}
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

package discovery

import (
	"slices"
	"testing"
)

// TestOldDataTheSnapshotFileGoesOn: this one was written by the program of commit c26c301.
func TestOldDataTheSnapshotFileGoesOn(t *testing.T) {
	saved, err := readSaved("testdata/c26c301.snapshot")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"acme_2", "f8d00cfc-eeb8-4d55-a082-506b8b25983c"}
	if saved.Service != "ledger" || saved.Environment != "production" || saved.SnapshotAt.Year() != 2026 || !slices.Equal(saved.Tenants, want) {
		t.Errorf("it is read as %+v", saved)
	}
}

package discovery

import (
	"slices"
	"testing"
	"time"
)

func savedForTest(t testing.TB) []byte {
	t.Helper()
	data, err := savedSet{
		Service: "ledger", Environment: "test", SnapshotAt: time.Unix(1_800_000_000, 0).UTC(), Tenants: []string{"acme", "globex"},
	}.encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestD17EveryCutAndEveryFlippedBit of the snapshot file is refused.
func TestD17EveryCutAndEveryFlippedBit(t *testing.T) {
	whole := savedForTest(t)
	if saved, err := decodeSaved(whole); err != nil || !slices.Equal(saved.Tenants, []string{"acme", "globex"}) || saved.Service != "ledger" {
		t.Fatalf("the whole file is read as %+v, %v", saved, err)
	}
	for n := range whole {
		if _, err := decodeSaved(whole[:n]); err == nil {
			t.Errorf("cut after %d bytes, and it is read", n)
		}
	}
	for i := range whole {
		for bit := range 8 {
			spoilt := slices.Clone(whole)
			spoilt[i] ^= 1 << bit
			if _, err := decodeSaved(spoilt); err == nil {
				t.Errorf("bit %d of byte %d is flipped, and it is read", bit, i)
			}
		}
	}
	if _, err := decodeSaved(append(slices.Clone(whole), '\n')); err == nil {
		t.Error("there is more behind it, and it is read")
	}
}

func FuzzDecodeSaved(f *testing.F) {
	f.Add(savedForTest(f))
	f.Add([]byte(snapshotFormat + " \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		saved, err := decodeSaved(data)
		if err != nil {
			return
		}
		again, err := saved.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeSaved(again); err != nil {
			t.Fatal(err)
		}
	})
}

// TestX48TheFileOfManyTenants is not written every second, nor one on a disk that is slow.
func TestX48TheFileOfManyTenants(t *testing.T) {
	for _, tc := range []struct {
		tenants int
		took    time.Duration
		want    time.Duration
	}{
		{0, 0, time.Second},
		{25_000, 10 * time.Millisecond, time.Second},
		{200_000, 60 * time.Millisecond, 8 * time.Second},
		{10, 200 * time.Millisecond, 10 * time.Second},
		{10_000_000, 0, time.Minute},
		{1, 1 << 62, time.Minute},
	} {
		if got := pauseAfter(tc.tenants, tc.took); got != tc.want {
			t.Errorf("%d tenants, written in %v: a pause of %v, want %v", tc.tenants, tc.took, got, tc.want)
		}
	}
}

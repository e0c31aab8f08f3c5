package tenant_test

import (
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// The values are of the reference implementation of XXH64, with seed 0.
func TestIDDigestIsXXH64(t *testing.T) {
	for id, want := range map[string]uint64{
		"":     0xef46db3751d8e999,
		"a":    0xd24ec4f1a98c6e5b,
		"abc":  0x44bc2cf5ad770999,
		"as":   0x1c330fb2d66be179,
		"asd":  0x631c37ce72a97393,
		"asdf": 0x415872f599cea71e,
		"Call me Ishmael. Some years ago--never mind how long precisely-": 0x02a2e85470d6fd96,
	} {
		if got := tenant.IDDigest(id); got != want {
			t.Errorf("IDDigest(%q) = %016x, want %016x", id, got, want)
		}
	}
}

func TestIDDigestIsOneForAllSpellingsOfAUUID(t *testing.T) {
	want := tenant.IDDigest(hexUUID)
	if plain := xxhash.Sum64String(hexUUID); want != plain {
		t.Errorf("IDDigest(%q) = %016x, want %016x", hexUUID, want, plain)
	}
	for _, id := range []string{dashedUUID, strings.ToUpper(dashedUUID), strings.ToUpper(hexUUID)} {
		if got := tenant.IDDigest(id); got != want {
			t.Errorf("IDDigest(%q) = %016x, want %016x", id, got, want)
		}
	}
}

func TestIDDigestIsOfTheCanonicalForm(t *testing.T) {
	check := func(t *rapid.T, id string) {
		if got, want := tenant.IDDigest(id), xxhash.Sum64String(tenant.CanonicalID(id)); got != want {
			t.Fatalf("IDDigest(%q) = %016x, want %016x", id, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, anyID().Draw(t, "id"))
		check(t, spelling(t, rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "canonical")))
	})
}

func TestIDDigestAllocatesNothing(t *testing.T) {
	for _, id := range []string{
		dashedUUID, hexUUID, strings.ToUpper(dashedUUID), "acme", strings.Repeat("A", 31), strings.Repeat("x", tenant.MaxIDLength),
	} {
		var sum uint64
		if n := testing.AllocsPerRun(100, func() { sum ^= tenant.IDDigest(id) }); n != 0 {
			t.Errorf("%q: %v allocations", id, n)
		}
	}
}

func BenchmarkIDDigest(b *testing.B) {
	for name, id := range map[string]string{"dashed": dashedUUID, "hex": hexUUID, "name": "acme-eu-1"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = tenant.IDDigest(id)
			}
		})
	}
}

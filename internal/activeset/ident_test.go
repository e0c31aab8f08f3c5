package activeset

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// spelling draws an id that is, or nearly is, one of a few UUIDs, in any spelling.
func spelling(t *rapid.T, label string) string {
	id := rapid.SampledFrom([]string{
		"6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012", "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9013", "ffffffffffffffffffffffffffffffff", "acme",
	}).Draw(t, label)
	if len(id) == 32 && rapid.Bool().Draw(t, label+" dashed") {
		id = id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
	}
	if rapid.Bool().Draw(t, label+" upper") {
		id = strings.ToUpper(id)
	}
	if rapid.IntRange(0, 3).Draw(t, label+" odd") == 0 {
		at := rapid.IntRange(0, len(id)-1).Draw(t, label+" at")
		id = id[:at] + string(rapid.SampledFrom([]byte("gG-_0aA\x10\x19@`/:\x80\xc1")).Draw(t, label+" byte")) + id[at+1:]
	}
	return id
}

// TestIdentIsTheCanonicalID: two ids are one tenant's when their canonical forms are the same, and then they hash alike.
func TestIdentIsTheCanonicalID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := spelling(t, "a"), spelling(t, "b")
		p, q := identOf(a), identOf(b)
		want := tenant.CanonicalID(a) == tenant.CanonicalID(b)
		if p.is(b) != want || q.is(a) != want {
			t.Fatalf("%q is %q: %v and %v, want %v", a, b, p.is(b), q.is(a), want)
		}
		if want && p.hash != q.hash {
			t.Fatalf("%q and %q are one tenant's, and have two hashes", a, b)
		}
	})
}

// TestNotHex tries every byte at every place among digits.
func TestNotHex(t *testing.T) {
	for at := range 8 {
		for c := range 256 {
			word := []byte("0189afAF")
			word[at] = byte(c)
			want := strings.ContainsRune("0123456789abcdefABCDEF", rune(c))
			if got := notHex(eight(string(word), 0)) == 0; got != want {
				t.Errorf("byte %#x at %d is a digit: %v, want %v", c, at, got, want)
			}
		}
	}
}

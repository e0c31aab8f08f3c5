package tenant_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	dashedUUID = "6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012"
	hexUUID    = "6f1c2a9e4b7d4e0f8a3b5c6d7e8f9012"
)

func TestCanonicalID(t *testing.T) {
	tests := []struct {
		name, id, want string
	}{
		{"empty", "", ""},
		{"dashed", dashedUUID, hexUUID},
		{"dashed upper case", strings.ToUpper(dashedUUID), hexUUID},
		{"dashed mixed case", "6F1C2a9e-4b7D-4e0f-8A3b-5c6d7e8F9012", hexUUID},
		{"undashed", hexUUID, hexUUID},
		{"undashed upper case", strings.ToUpper(hexUUID), hexUUID},
		{"nil UUID", "00000000-0000-0000-0000-000000000000", strings.Repeat("0", 32)},
		{"32 hex digits that are not a UUID version", strings.Repeat("AB", 16), strings.Repeat("ab", 16)},
		{"31 hex digits", strings.Repeat("A", 31), strings.Repeat("A", 31)},
		{"33 hex digits", strings.Repeat("A", 33), strings.Repeat("A", 33)},
		{"32 characters, one no hex digit", strings.Repeat("A", 31) + "G", strings.Repeat("A", 31) + "G"},
		{"32 characters with dashes", "6F1C2A9E-4B7D4E0F8A3B5C6D7E8F901", "6F1C2A9E-4B7D4E0F8A3B5C6D7E8F901"},
		{"36 hex digits without a dash", strings.Repeat("A", 36), strings.Repeat("A", 36)},
		{"36 characters, no hex digits", strings.Repeat("Z", 36), strings.Repeat("Z", 36)},
		{"dashed, one no hex digit", "6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F901G", "6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F901G"},
		{"a digit for the first dash", "6F1C2A9E04B7D-4E0F-8A3B-5C6D7E8F9012", "6F1C2A9E04B7D-4E0F-8A3B-5C6D7E8F9012"},
		{"a digit for the second dash", "6F1C2A9E-4B7D04E0F-8A3B-5C6D7E8F9012", "6F1C2A9E-4B7D04E0F-8A3B-5C6D7E8F9012"},
		{"a digit for the third dash", "6F1C2A9E-4B7D-4E0F08A3B-5C6D7E8F9012", "6F1C2A9E-4B7D-4E0F08A3B-5C6D7E8F9012"},
		{"a digit for the fourth dash", "6F1C2A9E-4B7D-4E0F-8A3B05C6D7E8F9012", "6F1C2A9E-4B7D-4E0F-8A3B05C6D7E8F9012"},
		{"first dash early", "6F1C2A9-E4B7D-4E0F-8A3B-5C6D7E8F9012", "6F1C2A9-E4B7D-4E0F-8A3B-5C6D7E8F9012"},
		{"second dash late", "6F1C2A9E-4B7D4-E0F-8A3B-5C6D7E8F9012", "6F1C2A9E-4B7D4-E0F-8A3B-5C6D7E8F9012"},
		{"third dash late", "6F1C2A9E-4B7D-4E0F8-A3B-5C6D7E8F9012", "6F1C2A9E-4B7D-4E0F8-A3B-5C6D7E8F9012"},
		{"fourth dash late", "6F1C2A9E-4B7D-4E0F-8A3B5-C6D7E8F9012", "6F1C2A9E-4B7D-4E0F-8A3B5-C6D7E8F9012"},
		{"a fifth dash", "6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F90-2", "6F1C2A9E-4B7D-4E0F-8A3B-5C6D7E8F90-2"},
		{"underscores for dashes", "6F1C2A9E_4B7D_4E0F_8A3B_5C6D7E8F9012", "6F1C2A9E_4B7D_4E0F_8A3B_5C6D7E8F9012"},
		{"braces", "{" + dashedUUID + "}", "{" + dashedUUID + "}"},
		{"braces without dashes", "{" + hexUUID + "}", "{" + hexUUID + "}"},
		{"urn", "urn:uuid:" + dashedUUID, "urn:uuid:" + dashedUUID},
		{"space before", " " + hexUUID, " " + hexUUID},
		{"no ASCII digit", strings.Repeat("A", 29) + "٣0", strings.Repeat("A", 29) + "٣0"},
		{"a name, case kept", "Acme-EU_1", "Acme-EU_1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tenant.CanonicalID(tt.id); got != tt.want {
				t.Errorf("CanonicalID(%q) = %q, want %q", tt.id, got, tt.want)
			}
		})
	}
}

func TestCanonicalIDKnowsHexDigitsFromTheirNeighbours(t *testing.T) {
	for _, neighbour := range []byte("/:@G`g") {
		id := strings.Repeat("A", 31) + string(neighbour)
		if got := tenant.CanonicalID(id); got != id {
			t.Errorf("CanonicalID(%q) = %q", id, got)
		}
	}
	for _, digit := range []byte("09AFaf") {
		id := strings.Repeat("A", 31) + string(digit)
		if got, want := tenant.CanonicalID(id), strings.ToLower(id); got != want {
			t.Errorf("CanonicalID(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestCanonicalIDOfACanonicalIDIsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := tenant.CanonicalID(anyID().Draw(t, "id"))
		if twice := tenant.CanonicalID(once); twice != once {
			t.Fatalf("%q became %q", once, twice)
		}
	})
}

func TestCanonicalIDIsOneForAllSpellingsOfAUUID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "canonical")
		for _, id := range []string{spelling(t, want), spelling(t, want)} {
			if got := tenant.CanonicalID(id); got != want {
				t.Fatalf("CanonicalID(%q) = %q, want %q", id, got, want)
			}
			if !tenant.ValidID(id) {
				t.Fatalf("ValidID(%q) = false", id)
			}
		}
	})
}

func TestCanonicalIDKeepsOtherIDsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringMatching(`[0-9A-Za-z][0-9A-Za-z_-]{0,30}`).Draw(t, "id") // too short for a UUID
		if got := tenant.CanonicalID(id); got != id {
			t.Fatalf("CanonicalID(%q) = %q", id, got)
		}
	})
}

func TestValidID(t *testing.T) {
	tests := []struct {
		name, id string
		want     bool
	}{
		{"empty", "", false},
		{"one letter", "a", true},
		{"one digit", "7", true},
		{"ends of the ranges", "azAZ09", true},
		{"dashed UUID", dashedUUID, true},
		{"undashed UUID", hexUUID, true},
		{"dash and underscore inside and last", "a-b_c-_", true},
		{"255 bytes", strings.Repeat("a", 255), true},
		{"256 bytes", strings.Repeat("a", 256), true},
		{"257 bytes", strings.Repeat("a", 257), false},
		{"dash first", "-acme", false},
		{"underscore first", "_acme", false},
		{"only a dash", "-", false},
		{"braces", "{" + dashedUUID + "}", false},
		{"blank", " ", false},
		{"space inside", "ac me", false},
		{"space last", "acme ", false},
		{"newline last", "acme\n", false},
		{"NUL inside", "ac\x00me", false},
		{"colon", "tenant-events:acme", false},
		{"slash", "acme/../globex", false},
		{"dot", "acme.eu", false},
		{"star", "acme*", false},
		{"letter that is not ASCII", "acmé", false},
		{"digit that is not ASCII", "a٣", false},
		{"not UTF-8", "a\xff", false},
		{"before 0", "a/", false},
		{"after 9", "a:", false},
		{"before A", "a@", false},
		{"after Z", "a[", false},
		{"before a", "a`", false},
		{"after z", "a{", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tenant.ValidID(tt.id); got != tt.want {
				t.Errorf("ValidID(%q) = %t, want %t", tt.id, got, tt.want)
			}
		})
	}
}

// anyID draws ids of every sort: UUIDs in some spelling, what is nearly one, and anything else.
func anyID() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[0-9a-fA-F]{30,34}`),
		rapid.StringMatching(`[0-9a-fA-F]{7,9}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{11,13}`),
		rapid.StringMatching(`[0-9A-Za-z][0-9A-Za-z_-]{0,255}`),
		rapid.String(),
	)
}

// spelling draws one of the ways in which a UUID is written: with dashes or without, each letter in either case.
func spelling(t *rapid.T, canonical string) string {
	id := canonical
	if rapid.Bool().Draw(t, "dashed") {
		id = id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
	}
	upper := rapid.Uint64().Draw(t, "upper")
	spelled := []byte(id)
	for i, c := range spelled {
		if upper>>i&1 == 1 && 'a' <= c && c <= 'f' {
			spelled[i] = c - 'a' + 'A'
		}
	}
	return string(spelled)
}

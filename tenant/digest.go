package tenant

import "github.com/cespare/xxhash/v2"

// IDDigest returns the XXH64, with seed 0, of the canonical form of id, so that all spellings of an id have the same
// digest. The XOR of the digests of a list's ids, in any order, is the digest of the list in [Changes]: a tenant that
// comes or goes changes it by its own digest.
//
// The digest finds mistakes. It does not protect against somebody who chooses ids to deceive it.
func IDDigest(id string) uint64 {
	var canonical [uuidHexLength]byte
	if !lowerUUID(&canonical, id) {
		return xxhash.Sum64String(id)
	}
	return xxhash.Sum64(canonical[:])
}

// lowerUUID writes the canonical form of a UUID, as [CanonicalID] returns it, and reports whether id is one.
func lowerUUID(to *[uuidHexLength]byte, id string) bool {
	switch len(id) {
	case uuidHexLength:
		return lowerHex(to[:], id)
	case uuidHexLength + 4:
		return id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' && lowerHex(to[:8], id[:8]) &&
			lowerHex(to[8:12], id[9:13]) && lowerHex(to[12:16], id[14:18]) && lowerHex(to[16:20], id[19:23]) && lowerHex(to[20:], id[24:])
	}
	return false
}

// lowerHex writes hex digits in lower case, and reports whether all are.
func lowerHex(to []byte, digits string) bool {
	all := true
	for i := range to {
		c := lowerHexDigit[digits[i]]
		to[i] = c
		all = all && c != 0
	}
	return all
}

// lowerHexDigit has the hex digits in lower case, and zero for every other character.
var lowerHexDigit = func() (table [256]byte) {
	for _, c := range []byte("0123456789abcdef") {
		table[c] = c
	}
	for _, c := range []byte("ABCDEF") {
		table[c] = c + ('a' - 'A')
	}
	return table
}()

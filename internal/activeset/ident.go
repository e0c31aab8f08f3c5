package activeset

import (
	"hash/maphash"
	"math/bits"
)

var (
	hashSeed = maphash.MakeSeed()
	// hashKeys are random, so that nobody can choose ids that share a place.
	hashKeys = [4]uint64{
		maphash.Comparable(hashSeed, 0), maphash.Comparable(hashSeed, 1), maphash.Comparable(hashSeed, 2), maphash.Comparable(hashSeed, 3),
	}
)

// ident is an id as it is looked up. All spellings of a UUID have the same hash and the same digits, so that a look-up needs no
// canonical form, and allocates nothing. Which ids are the same is what [tenant.CanonicalID] says; a test holds the two together.
type ident struct {
	id   string
	hash uint64
	uuid bool
}

func identOf(id string) ident {
	d, uuid := digitsOf(id)
	if !uuid {
		return ident{id: id, hash: maphash.String(hashSeed, id)}
	}
	left, right := mix(d.a^hashKeys[0], d.b^hashKeys[1]), mix(d.c^hashKeys[2], d.d^hashKeys[3])
	return ident{id: id, hash: left ^ bits.RotateLeft64(right, 32), uuid: true}
}

// is reports whether id is a spelling of the same tenant.
func (q *ident) is(id string) bool { return q.id == id || q.uuid && sameDigits(q.id, id) }

// sameDigits reports whether the two are spellings of one UUID, which the first is.
func sameDigits(a, b string) bool {
	d, _ := digitsOf(a)
	other, uuid := digitsOf(b)
	return uuid && d == other
}

// mix folds the product of the two, as wyhash does (https://github.com/wangyi-fudan/wyhash, public domain).
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// digits are the 32 hex digits of a UUID in lower case, eight in each word.
type digits struct{ a, b, c, d uint64 }

// digitsOf returns the digits of a UUID, dashed or not and in any case, and false for everything else. It is written without a loop
// and without an array, which would take three times as long.
func digitsOf(id string) (raw digits, uuid bool) {
	switch {
	case len(id) == 32:
		raw = digits{eight(id, 0), eight(id, 8), eight(id, 16), eight(id, 24)}
	case len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-':
		raw = digits{eight(id, 0), four(id, 9) | four(id, 14)<<32, four(id, 19) | four(id, 24)<<32, eight(id, 28)}
	default:
		return raw, false
	}
	odd := notHex(raw.a) | notHex(raw.b) | notHex(raw.c) | notHex(raw.d)
	return digits{raw.a | lower, raw.b | lower, raw.c | lower, raw.d | lower}, odd == 0
}

// lower has the bit of each byte that tells a lower-case letter from its capital. Digits have it, too.
const lower = 0x2020202020202020

// notHex is zero when each of the eight bytes is a hex digit, in either case. The top bit of each byte says what holds of it.
func notHex(raw uint64) uint64 {
	const (
		top    = 0x8080808080808080
		ten    = 0x7676767676767676 // added to less than ten, it leaves the top bit clear
		seven  = 0x7979797979797979
		one    = 0x7f7f7f7f7f7f7f7f
		zeros  = 0x3030303030303030 // '0'
		before = 0x6060606060606060 // what comes before 'a'
	)
	small := raw &^ top // so that no sum goes beyond its byte
	number, letter := (small|lower)^zeros, (small|lower)^before
	isNumber := ^(number + ten) & (raw << 2) // a control character would be a digit, but for the bit of lower
	isLetter := (letter + one) &^ (letter + seven)
	return (^(isNumber | isLetter) | raw) & top
}

func eight(s string, at int) uint64 {
	s = s[at : at+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func four(s string, at int) uint64 {
	s = s[at : at+4]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

package activeset

import (
	"hash/maphash"
	"math/bits"
)

var (
	hashSeed = maphash.MakeSeed()
	// hashKeys are random, so that nobody can choose ids that share a place.
	hashKeys = [6]uint64{
		maphash.Comparable(hashSeed, 0), maphash.Comparable(hashSeed, 1), maphash.Comparable(hashSeed, 2),
		maphash.Comparable(hashSeed, 3), maphash.Comparable(hashSeed, 4), maphash.Comparable(hashSeed, 5),
	}
)

// ident is an id as it is looked up. All spellings of a UUID have the same hash and the same digits, so that a look-up needs no
// canonical form, and allocates nothing. Which ids are the same is what [tenant.CanonicalID] says; a test holds the two together.
type ident struct {
	id     string
	digits [4]uint64 // the 32 hex digits of a UUID, in lower case
	uuid   bool
	hash   uint64
}

func identOf(id string) ident {
	q := ident{id: id}
	q.digits, q.uuid = digitsOf(id)
	if !q.uuid {
		q.hash = maphash.String(hashSeed, id)
		return q
	}
	left := mix(q.digits[0]^hashKeys[0], q.digits[1]^hashKeys[1])
	right := mix(q.digits[2]^hashKeys[2], q.digits[3]^hashKeys[3])
	q.hash = mix(left^hashKeys[4], right^hashKeys[5])
	return q
}

// is reports whether id is a spelling of the same tenant.
func (q *ident) is(id string) bool {
	if q.id == id || !q.uuid {
		return q.id == id
	}
	digits, uuid := digitsOf(id)
	return uuid && digits == q.digits
}

// mix folds the product of the two, as wyhash does (https://github.com/wangyi-fudan/wyhash, public domain).
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// digitsOf returns the 32 digits of a UUID, dashed or not and in any case, and false for everything else.
func digitsOf(id string) (digits [4]uint64, uuid bool) {
	switch {
	case len(id) == 32:
		digits = [4]uint64{eight(id, 0), eight(id, 8), eight(id, 16), eight(id, 24)}
	case len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-':
		digits = [4]uint64{eight(id, 0), four(id, 9) | four(id, 14)<<32, four(id, 19) | four(id, 24)<<32, eight(id, 28)}
	default:
		return digits, false
	}
	odd := uint64(0)
	for i, raw := range digits {
		digits[i] = raw | 0x2020202020202020
		odd |= notHex(raw)
	}
	return digits, odd == 0
}

// notHex is zero when each of the eight bytes is a hex digit, in either case.
func notHex(raw uint64) uint64 {
	const (
		high   = 0x8080808080808080 // the top bit of each byte
		ten    = 0x7676767676767676 // added to less than ten, it leaves the top bit clear
		seven  = 0x7979797979797979
		one    = 0x7f7f7f7f7f7f7f7f
		zeros  = 0x3030303030303030 // '0'
		before = 0x6060606060606060 // what comes before 'a'
	)
	if raw&high != 0 {
		return raw & high
	}
	lower := raw | 0x2020202020202020
	number, letter := lower^zeros, lower^before
	isNumber := ^(number + ten) & (raw << 2) // a control character becomes a digit in lower, and lacks the bit in raw
	isLetter := (letter + one) &^ (letter + seven)
	return ^(isNumber | isLetter) & high
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

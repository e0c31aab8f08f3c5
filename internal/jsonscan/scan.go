package jsonscan

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Each function here begins at data[at] and returns where what it reads ends, or Odd or Cut.

// SkipSpace returns where the white space ends that may begin at data[at].
func SkipSpace(data []byte, at int) int {
	for at < len(data) && (data[at] == ' ' || data[at] == '\n' || data[at] == '\t' || data[at] == '\r') {
		at++
	}
	return at
}

// expect reads one character.
func expect(data []byte, at int, c byte) int {
	switch {
	case at == len(data):
		return Cut
	case data[at] != c:
		return Odd
	default:
		return at + 1
	}
}

func value(data []byte, at, depth int) int {
	if at == len(data) {
		return Cut
	}
	switch data[at] {
	case '"':
		return text(data, at+1)
	case '{':
		return object(data, at+1, depth-1)
	case '[':
		return array(data, at+1, depth-1)
	case 't':
		return word(data, at, "true")
	case 'f':
		return word(data, at, "false")
	case 'n':
		return word(data, at, "null")
	default:
		return number(data, at)
	}
}

// object begins behind the brace.
func object(data []byte, at, depth int) int {
	if depth < 0 {
		return Odd
	}
	at = SkipSpace(data, at)
	if at < len(data) && data[at] == '}' {
		return at + 1
	}
	for {
		if _, _, at = member(data, at, depth); at < 0 {
			return at
		}
		at = SkipSpace(data, at)
		switch {
		case at == len(data):
			return Cut
		case data[at] == '}':
			return at + 1
		case data[at] != ',':
			return Odd
		}
		at = SkipSpace(data, at+1)
	}
}

// member reads a name, a colon and a value. It also returns where the name's last quote is, and where the value begins.
func member(data []byte, at, depth int) (nameEnd, begin, end int) {
	if at = expect(data, at, '"'); at < 0 {
		return 0, 0, at
	}
	if at = text(data, at); at < 0 {
		return 0, 0, at
	}
	nameEnd = at - 1
	if at = expect(data, SkipSpace(data, at), ':'); at < 0 {
		return 0, 0, at
	}
	begin = SkipSpace(data, at)
	return nameEnd, begin, value(data, begin, depth)
}

// array begins behind the bracket.
func array(data []byte, at, depth int) int {
	if depth < 0 {
		return Odd
	}
	at = SkipSpace(data, at)
	if at < len(data) && data[at] == ']' {
		return at + 1
	}
	for {
		if at = value(data, at, depth); at < 0 {
			return at
		}
		at = SkipSpace(data, at)
		switch {
		case at == len(data):
			return Cut
		case data[at] == ']':
			return at + 1
		case data[at] != ',':
			return Odd
		}
		at = SkipSpace(data, at+1)
	}
}

// text begins behind the first quote of a string, and ends behind the last.
func text(data []byte, at int) int {
	for {
		switch at = plain(data, at); {
		case at == len(data):
			return Cut
		case data[at] == '"':
			return at + 1
		case data[at] != '\\':
			return Odd // a control character
		}
		if at = escape(data, at+1); at < 0 {
			return at
		}
	}
}

// plain returns where the next quote, backslash or control character is, eight bytes at a time.
func plain(data []byte, at int) int {
	for ; at+8 <= len(data); at += 8 {
		word := binary.LittleEndian.Uint64(data[at:])
		if found := (same(word, '"') | same(word, '\\') | (word-each*' ')&^word) & high; found != 0 {
			return at + bits.TrailingZeros64(found)/8
		}
	}
	for at < len(data) && data[at] >= ' ' && data[at] != '"' && data[at] != '\\' {
		at++
	}
	return at
}

// isPlain reports whether a text is ASCII without a backslash, eight bytes at a time.
func isPlain(text []byte) bool {
	for ; len(text) >= 8; text = text[8:] {
		if word := binary.LittleEndian.Uint64(text); (word|same(word, '\\'))&high != 0 {
			return false
		}
	}
	for _, c := range text {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// Words of eight bytes: one in each, and the highest bit of each.
const each, high = 0x0101010101010101, 0x8080808080808080

// same has the highest bit set of the lowest byte of the word that is c, and of no byte if none is. A byte that is found borrows
// from the one above it, which may then be taken for one: only the lowest is sure, and so it is for what is less than a
// space in plain.
func same(word uint64, c byte) uint64 {
	other := word ^ each*uint64(c)
	return (other - each) &^ other
}

// escape begins behind the backslash.
func escape(data []byte, at int) int {
	if at == len(data) {
		return Cut
	}
	switch data[at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return at + 1
	case 'u':
		return hex(data, at+1)
	default:
		return Odd
	}
}

// hex reads four digits.
func hex(data []byte, at int) int {
	for end := at + 4; at < end; at++ {
		if at == len(data) {
			return Cut
		}
		if c := data[at] | 0x20; !isDigit(data[at]) && (c < 'a' || c > 'f') {
			return Odd
		}
	}
	return at
}

// word reads true, false or null.
func word(data []byte, at int, want string) int {
	have := data[at:min(at+len(want), len(data))]
	switch {
	case string(have) != want[:len(have)]:
		return Odd
	case len(have) < len(want):
		return Cut
	default:
		return at + len(want)
	}
}

func number(data []byte, at int) int {
	if data[at] == '-' {
		at++
	}
	if at < len(data) && data[at] == '0' {
		at++ // and no digit behind it
	} else if at = digits(data, at); at < 0 {
		return at
	}
	if at < len(data) && data[at] == '.' {
		if at = digits(data, at+1); at < 0 {
			return at
		}
	}
	if at == len(data) || data[at]|0x20 != 'e' {
		return at
	}
	if at++; at < len(data) && (data[at] == '+' || data[at] == '-') {
		at++
	}
	return digits(data, at)
}

// digits reads one or more.
func digits(data []byte, at int) int {
	begin := at
	for at < len(data) && isDigit(data[at]) {
		at++
	}
	switch {
	case at > begin:
		return at
	case at == len(data):
		return Cut
	default:
		return Odd
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

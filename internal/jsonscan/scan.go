package jsonscan

import (
	"encoding/binary"
	"math/bits"
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
		if found := special(binary.LittleEndian.Uint64(data[at:])); found != 0 {
			return at + bits.TrailingZeros64(found)/8
		}
	}
	for at < len(data) && data[at] >= ' ' && data[at] != '"' && data[at] != '\\' {
		at++
	}
	return at
}

// special has the highest bit set of the lowest byte that is a quote, a backslash or a control character, and none if there is
// no such byte. A byte that is zero, or less than a space, borrows from the one above it: only the lowest one that is found
// is sure to be one, and that is the one that counts.
func special(word uint64) uint64 {
	const each, high = 0x0101010101010101, 0x8080808080808080
	quote, backslash := word^each*'"', word^each*'\\'
	return ((quote-each)&^quote | (backslash-each)&^backslash | (word-each*' ')&^word) & high
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

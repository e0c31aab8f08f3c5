package contract

import (
	"bytes"
	"strconv"
	"unicode"
	"unicode/utf16"
)

// HasLoneSurrogate looks through a JSON text, which has to be well-formed, for half of a surrogate pair. encoding/json would
// make U+FFFD of it, which is not what was sent.
func HasLoneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // what is escaped; a backslash too
		if data[i] != 'u' {
			continue
		}
		first := codeUnit(data[i+1:])
		if !utf16.IsSurrogate(first) {
			continue
		}
		rest := data[i+5:]
		if !bytes.HasPrefix(rest, []byte(`\u`)) || utf16.DecodeRune(first, codeUnit(rest[2:])) == unicode.ReplacementChar {
			return true
		}
		i += 10 // both of the pair
	}
	return false
}

func codeUnit(hex []byte) rune {
	n, err := strconv.ParseUint(string(hex[:4]), 16, 16)
	if err != nil {
		return unicode.ReplacementChar
	}
	return rune(n)
}

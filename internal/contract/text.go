package contract

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// How long texts may be, in bytes. Words are keys of an index, and PostgreSQL bounds what fits into one.
const (
	MaxWord = 255
	MaxName = 1024
)

// IsText refuses what PostgreSQL cannot keep.
func IsText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// CheckText refuses, with an *[Invalid], what is too long or cannot be kept.
func CheckText(what, code, text string, most int) error {
	if len(text) > most || !IsText(text) {
		return &Invalid{Code: code, Message: what + " is too long or not a text"}
	}
	return nil
}

// CheckWord refuses, with an *[Invalid], what is blank, has more than one line, or is not short.
func CheckWord(what, code, word string) error {
	switch {
	case strings.TrimSpace(word) == "":
		return &Invalid{Code: code, Message: what + " is blank"}
	case len(word) > MaxWord:
		return &Invalid{Code: code, Message: fmt.Sprintf("%s has %d bytes, the most is %d", what, len(word), MaxWord)}
	case !IsText(word) || strings.ContainsAny(word, "\r\n"):
		return &Invalid{Code: code, Message: what + " is not a text of one line"}
	}
	return nil
}

// CheckLabel is CheckWord for words that are parts of names elsewhere. A TenantDiscovery takes none with white space in it.
func CheckLabel(what, code, word string) error {
	if err := CheckWord(what, code, word); err != nil {
		return err
	}
	if strings.ContainsFunc(word, unicode.IsSpace) {
		return &Invalid{Code: code, Message: what + " has white space in it"}
	}
	return nil
}

// hasLoneSurrogate looks through a JSON text, which has to be well-formed, for half of a surrogate pair. encoding/json would
// make U+FFFD of it, which is not what was sent.
func hasLoneSurrogate(data []byte) bool {
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

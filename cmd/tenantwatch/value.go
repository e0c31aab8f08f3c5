package main

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestValue is the most bytes of a setting; only certificates are longer.
const longestValue = 4096

// form says what a value may have that others may not.
type form uint8

const (
	formPlain   form = iota // an address, a number, a file, an id
	formURL                 // the same, in parts
	formName                // an environment, whose spaces around are cut off later
	formSecret              // a password, which may begin and end with a space
	formEncoded             // base64, which may be long and in several lines
	formText                // for people, who may write what they like, in UTF-8
	formBytes               // for another program, which may take what is not UTF-8 too, such as names of files
)

// valueProblem says what is wrong with a value, wherever it came from; empty if nothing is. Every flag, argument, variable
// and file with a setting comes through here: other programs hand on quotes and line ends that a shell would have taken
// away. Nothing of the value shows, since each can be a secret.
func valueProblem(value string, f form) string {
	switch f {
	case formText:
		return wrongEncoding(value)
	case formBytes:
		return ""
	default:
	}
	tests := []func(string, form) string{wrongLength, wrongCharacter, wrongRim, wrongPlace}
	for _, test := range tests {
		if problem := test(value, f); problem != "" {
			return problem
		}
	}
	if f == formURL {
		return partProblem(value)
	}
	return ""
}

func wrongLength(value string, f form) string {
	if len(value) > longestValue && f != formEncoded {
		return fmt.Sprintf("is longer than %d bytes", longestValue)
	}
	return ""
}

// controls are the control characters that files and programs leave behind.
var controls = map[rune]string{
	'\r': "a carriage return, as a file with the line ends of Windows leaves: take it out",
	'\n': "a line break: take it out",
	'\t': "a tab: take it out",
	0:    "a zero byte, as text in UTF-16 has: write it in UTF-8",
}

func wrongCharacter(value string, f form) string {
	if problem := wrongEncoding(value); problem != "" {
		return problem
	}
	for _, r := range value {
		switch {
		case f == formEncoded && (r == '\n' || r == '\r'):
		case unicode.IsControl(r):
			return "has a control character in it, " + cmp.Or(controls[r], fmt.Sprintf("%U: take it out", r))
		case !unicode.IsGraphic(r):
			return fmt.Sprintf("has an invisible character (%U) in it, as some editors put into files: take it out", r)
		}
	}
	return ""
}

// wrongEncoding keeps out what would become another text on its way.
func wrongEncoding(value string) string {
	if !utf8.ValidString(value) {
		return "is not valid UTF-8: write it in UTF-8"
	}
	return ""
}

func wrongRim(value string, f form) string {
	if inQuotes(strings.TrimSpace(value)) {
		return "has quotes around it, which count as a part of it here: leave them out"
	}
	if f != formName && f != formSecret && f != formEncoded && strings.TrimSpace(value) != value {
		return "has white space around it: take it out"
	}
	return ""
}

// inQuotes reports whether a value begins and ends with a quote, or is one that was cut.
func inQuotes(value string) bool {
	for _, pair := range []string{`""`, "''", "``", "“”", "‘’"} {
		first, size := utf8.DecodeRuneInString(pair)
		if strings.HasPrefix(value, string(first)) && strings.HasSuffix(value, pair[size:]) {
			return true
		}
	}
	return false
}

// aSecret is a token or a key of ours.
var aSecret = regexp.MustCompile(`tw[tk]_[A-Za-z0-9_-]{20,}`)

func wrongPlace(value string, f form) string {
	if f != formSecret && aSecret.MatchString(value) {
		return "has a token or an API key in it, which does not belong there: write it into a file, or into the variable for it"
	}
	if f != formSecret && f != formEncoded && strings.Contains(value, keyInBase64) {
		return "has a key or a certificate in base64 in it: write it into a file, and name that"
	}
	return ""
}

// keyInBase64 is how a file begins in base64 that begins with -----BEGIN.
const keyInBase64 = "LS0tLS1CRUdJ"

// hideSecrets is text that others have written, without tokens and keys.
func hideSecrets(text string) string { return aSecret.ReplaceAllString(text, "REDACTED") }

// partProblem looks at each part of a URL as it is meant, with its percent signs resolved.
func partProblem(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return "" // what is wrong with it depends on what it is for
	}
	password, _ := parsed.User.Password()
	parts := [][2]string{
		{"user", parsed.User.Username()},
		{"password", password},
		{"host", parsed.Hostname()},
		{"path", strings.TrimPrefix(parsed.Path, "/")},
	}
	for _, values := range parsed.Query() {
		for _, value := range values {
			parts = append(parts, [2]string{"option", value})
		}
	}
	for _, part := range parts {
		if problem := cmp.Or(wrongCharacter(part[1], formPlain), wrongRim(part[1], formSecret)); problem != "" {
			return fmt.Sprintf("has a part, the %s, that %s", part[0], problem)
		}
	}
	return ""
}

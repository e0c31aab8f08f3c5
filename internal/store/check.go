package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// How long words may be, in bytes. They are keys of an index, and PostgreSQL bounds what fits into one.
const (
	maxWord = 255
	maxName = 1024
)

// check refuses a tenant that cannot be, and returns it complete.
func (n NewTenant) check(environment string) (NewTenant, error) {
	if err := checkName(n.Name); err != nil {
		return n, err
	}
	if n.Environment == "" {
		n.Environment = environment
	}
	if name, err := tenant.ParseEnvironment(n.Environment); err == nil {
		n.Environment = name
	}
	if n.Environment != environment {
		return n, &Invalid{Code: "WRONG_ENVIRONMENT", Message: "this manager's environment is " + environment}
	}
	if n.Slug == "" {
		n.Slug = slug(n.Name)
	}
	if err := checkWord("slug", "INVALID_SLUG", n.Slug); err != nil {
		return n, err
	}
	if !isText(n.Isolation) || len(n.Isolation) > maxWord {
		return n, &Invalid{Code: "INVALID_ISOLATION", Message: "isolation is too long or no text"}
	}
	return n, nil
}

func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return &Invalid{Code: "INVALID_NAME", Message: "name is blank"}
	case len(name) > maxName:
		return &Invalid{Code: "INVALID_NAME", Message: fmt.Sprintf("name has %d bytes, the most is %d", len(name), maxName)}
	case !isText(name):
		return &Invalid{Code: "INVALID_NAME", Message: "name is no text"}
	}
	return nil
}

func checkService(service string) error {
	if strings.TrimSpace(service) == "" {
		return &Invalid{Code: "INVALID_SERVICE", Message: "the service has no name"}
	}
	return checkLabel("service", "INVALID_SERVICE", service)
}

// checkLabel is for words that are parts of names elsewhere. A TenantDiscovery takes none with white space in it.
func checkLabel(what, code, word string) error {
	if err := checkWord(what, code, word); err != nil {
		return err
	}
	if strings.ContainsFunc(word, unicode.IsSpace) {
		return &Invalid{Code: code, Message: what + " has white space in it"}
	}
	return nil
}

// checkWord is for what is not blank, of one line, and short.
func checkWord(what, code, word string) error {
	switch {
	case strings.TrimSpace(word) == "":
		return &Invalid{Code: code, Message: what + " is blank"}
	case len(word) > maxWord:
		return &Invalid{Code: code, Message: fmt.Sprintf("%s has %d bytes, the most is %d", what, len(word), maxWord)}
	case !isText(word) || strings.ContainsAny(word, "\r\n"):
		return &Invalid{Code: code, Message: what + " is no text of one line"}
	}
	return nil
}

// isText refuses what PostgreSQL cannot keep.
func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// slug turns everything but ASCII letters and digits into dashes. A name that has none, or too many, is told from others by
// its digest: the same name makes the same slug.
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9')
	})
	out := strings.Join(words, "-")
	if out != "" && len(out) <= maxWord {
		return out
	}
	digest := sha256.Sum256([]byte(name))
	const head = 200
	return strings.TrimLeft(out[:min(len(out), head)]+"-", "-") + hex.EncodeToString(digest[:8])
}

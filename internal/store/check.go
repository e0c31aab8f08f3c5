package store

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/internal/contract"
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

// slugs returns the slug that a tenant gets, and the one that it got before there were rules for slugs: the same tenant once
// more may be one of then. Where it can only be one of then, err says why it cannot be a new one.
func (n NewTenant) slugs() (slug, before string, err error) {
	if n.Slug == "" {
		return contract.NewSlug(n.Name), contract.OldSlug(n.Name), nil
	}
	slug, err = contract.Slug(n.Slug)
	return slug, n.Slug, err
}

// checkService is for the name of what is kept already, or of what does not become part of anything but a key.
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

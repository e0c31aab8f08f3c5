package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	maxSlug    = 63
	maxService = 255
)

// Slug returns the slug that a new tenant gets for the one that was asked for: upper case is lowered. Anything but a to z,
// 0 to 9 and -, and more than 63 of them, is an *[Invalid] INVALID_SLUG.
func Slug(asked string) (string, error) {
	slug := strings.Map(lower, asked)
	switch {
	case slug == "":
		return "", &Invalid{Code: "INVALID_SLUG", Message: "slug is blank"}
	case len(slug) > maxSlug:
		return "", &Invalid{Code: "INVALID_SLUG", Message: fmt.Sprintf("slug has %d bytes, the most is %d", len(slug), maxSlug)}
	case strings.ContainsFunc(slug, func(r rune) bool { return !isSlug(r) }):
		return "", &Invalid{Code: "INVALID_SLUG", Message: "slug has something else than a to z, 0 to 9 and -"}
	}
	return slug, nil
}

// NewSlug makes a slug of a tenant's name: everything but ASCII letters and digits becomes a dash. A name that has none, or
// too many, is told from others by its digest: the same name makes the same slug.
func NewSlug(name string) string { return slugOf(name, maxSlug, 46) }

// OldSlug is the slug that was made of a name before slugs were bounded by what fits into a name of DNS.
func OldSlug(name string) string { return slugOf(name, 255, 200) }

// slugOf cuts what has more than most bytes to head bytes and the digest.
func slugOf(name string, most, head int) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == '-' || !isSlug(r) })
	out := strings.Join(words, "-")
	if out != "" && len(out) <= most {
		return out
	}
	digest := sha256.Sum256([]byte(name))
	return strings.TrimLeft(out[:min(len(out), head)]+"-", "-") + hex.EncodeToString(digest[:8])
}

// CheckService refuses what is not the name of a new service: 1 to 255 ASCII letters, digits, ".", "_" and "-". "." and ".."
// are parts of paths and nothing else.
func CheckService(name string) error {
	invalid := func(message string) error { return &Invalid{Code: "INVALID_SERVICE", Message: message} }
	switch {
	case name == "":
		return invalid("the service has no name")
	case len(name) > maxService:
		return invalid(fmt.Sprintf("the service's name has %d bytes, the most is %d", len(name), maxService))
	case name == "." || name == "..":
		return invalid("the service's name is one of a path")
	case strings.ContainsFunc(name, func(r rune) bool { return !isSlug(lower(r)) && r != '.' && r != '_' }):
		return invalid("the service's name has something else than letters, digits, . _ and -")
	}
	return nil
}

// SecretPath is where new credentials are. Two tenants never share one, because of the id, and none comes twice as
// long as no version does: it is made of the revision of the event that announces it.
func SecretPath(tenantID, service, credential string, version uint64) string {
	service = url.PathEscape(service) // one from before there were rules may have slashes
	if strings.Trim(service, ".") == "" {
		service = strings.ReplaceAll(service, ".", "%2E")
	}
	return fmt.Sprintf("tenants/%s/%s/%s/v%d", tenant.CanonicalID(tenantID), service, credential, version)
}

func isSlug(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' }

func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

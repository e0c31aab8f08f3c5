package contract

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	maxSlug    = 63
	maxService = 255

	codeService = "INVALID_SERVICE"
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

// CheckAskedService refuses what nobody needs to look up, because no service can have that name.
func CheckAskedService(name string) error {
	if strings.TrimSpace(name) == "" || !tenant.ValidName(name) {
		return &Invalid{Code: codeService, Message: "the service has no name, or none that can be one"}
	}
	return nil
}

// CheckKnownService is for the name of a service that is kept already, or of what does not become part of anything but a key.
func CheckKnownService(name string) error {
	if strings.TrimSpace(name) == "" {
		return noService()
	}
	return CheckLabel("service", codeService, name)
}

func noService() error { return &Invalid{Code: codeService, Message: "the service has no name"} }

// CheckService refuses what is not the name of a new service: 1 to 255 ASCII letters, digits, ".", "_" and "-". "." and ".."
// are parts of paths and nothing else.
func CheckService(name string) error {
	invalid := func(message string) error { return &Invalid{Code: codeService, Message: message} }
	switch {
	case name == "":
		return noService()
	case len(name) > maxService:
		return invalid(fmt.Sprintf("the service's name has %d bytes, the most is %d", len(name), maxService))
	case name == "." || name == "..":
		return invalid("the service's name is one of a path")
	case strings.ContainsFunc(name, func(r rune) bool { return !isSlug(lower(r)) && r != '.' && r != '_' }):
		return invalid("the service's name has something else than letters, digits, . _ and -")
	}
	return nil
}

// SecretPath is where new credentials are that an event of a version announces. Two tenants never share one, because of the
// id, and none comes twice as long as no SecretVersion does.
func SecretPath(tenantID, service, credential string, v tenant.Version) string {
	service = url.PathEscape(service) // one from before there were rules may have slashes
	if strings.Trim(service, ".") == "" {
		service = strings.ReplaceAll(service, ".", "%2E")
	}
	return fmt.Sprintf("tenants/%s/%s/%s/v%d", tenant.CanonicalID(tenantID), service, credential, SecretVersion(v))
}

// SecretVersion is the revision in the first epoch, and after that, where the epoch is a UUID of version 7, the revision after
// the microseconds since 1970 at which the epoch began: revisions begin again, and a backup does not know which versions were
// given after it. So none comes twice unless there were a million events a second, or the clock was set back and the
// backup does not have the last epoch.
func SecretVersion(v tenant.Version) uint64 {
	id, err := hex.DecodeString(strings.ReplaceAll(v.Epoch, "-", ""))
	if err != nil || len(id) != 16 || id[6]>>4 != 7 {
		return v.Revision
	}
	millis, fraction := binary.BigEndian.Uint64(id)>>16, uint64(id[6]&0x0f)<<8|uint64(id[7]) // of a millisecond, in 4096ths
	return millis*1000 + fraction*1000/4096 + v.Revision
}

func isSlug(r rune) bool { return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' }

func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

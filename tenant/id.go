package tenant

import "strings"

// MaxIDLength is the longest tenant id, in bytes.
const MaxIDLength = 256

// uuidHexLength is the number of hex digits of a UUID, which is also the length of its canonical form.
const uuidHexLength = 32

// Summary is one row of the list of active tenants, as the tenant manager gives it.
type Summary struct {
	// ID is the tenant's id in the manager's spelling.
	ID string `json:"id"`
	// Name is what people call the tenant. It may be empty.
	Name string `json:"name"`
	// Status is "active" in the list of active tenants. Empty means that the manager sent no status, and counts as
	// active.
	Status string `json:"status"`
}

// ValidID reports whether id can be a tenant's id: 1 to [MaxIDLength] ASCII letters, digits, '-' and '_', the first
// of them a letter or a digit.
func ValidID[T ~string | ~[]byte](id T) bool {
	if len(id) == 0 || len(id) > MaxIDLength || id[0] == '-' || id[0] == '_' {
		return false
	}
	for i := range len(id) {
		if !inIDs[id[i]] {
			return false
		}
	}
	return true
}

// inIDs has the characters of ids.
var inIDs = func() (table [256]bool) {
	for _, c := range []byte("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz") {
		table[c] = true
	}
	return table
}()

// CanonicalID returns the form in which ids are compared. A UUID, with or without dashes and in upper or lower case,
// becomes its 32 lower-case hex digits. Every other text, valid or not, is returned unchanged.
//
// Managers and services compare ids in this form. They show an id as the manager spelled it.
func CanonicalID(id string) string {
	switch len(id) {
	case uuidHexLength:
		if isHex(id) {
			return strings.ToLower(id)
		}
	case uuidHexLength + 4:
		if id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
			return id
		}
		if digits := id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:]; isHex(digits) {
			return strings.ToLower(digits)
		}
	}
	return id
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// caller is who makes a request. The zero caller has shown nothing.
type caller struct {
	id      string // of the key, else of the token
	service string // of the key; empty without one
	token   string // the id of the token, alone or beside a key; empty without one
}

// sees reports whether the caller may read what belongs to service. A key reads what is its own, even when a token comes
// with it; a token alone reads everything.
func (c caller) sees(service string) bool { return c.service == "" || c.service == service }

// hiding makes of what is not there the answer for a tenant that is not there, for a key: it shall not learn that somebody else
// has the tenant.
func (c caller) hiding(err error) error {
	if c.service != "" && errors.Is(err, store.ErrNotFound) {
		return noTenant()
	}
	return err
}

// share is whose places count together: those of a service, whichever of its keys it shows.
func (c caller) share() string {
	if c.service != "" {
		return "service " + c.service
	}
	return c.id
}

// actor is what the audit calls the caller. Whoever shows both acts by the token.
func (c caller) actor() string {
	switch {
	case c.token != "":
		return "token " + c.token
	case c.id != "":
		return "key " + c.id
	}
	return ""
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	found, _ := ctx.Value(callerKey{}).(caller)
	return found
}

// authorize says who makes the request, or refuses it. There has to be a key or a token, the token where needsToken is
// set, and all that is there has to be right.
func (s *Server) authorize(ctx context.Context, h http.Header, needsToken bool) (caller, error) {
	var who caller
	key, token := h.Get(managerapi.HeaderAPIKey), bearer(h)
	if key != "" {
		found, err := s.check(ctx, aKey, key)
		if err != nil {
			return caller{}, unauthorized(err, managerapi.HeaderAPIKey+" is missing or wrong", "ApiKey")
		}
		who = caller{id: found.ID, service: found.Service}
	}
	if key == "" && token == "" && !needsToken {
		return caller{}, unauthorized(store.ErrNotFound, managerapi.HeaderAPIKey+" is missing or wrong", "ApiKey")
	}
	if key != "" && token == "" && !needsToken {
		return who, nil
	}
	found, err := s.check(ctx, aToken, token)
	if err != nil {
		return caller{}, unauthorized(err, "the bearer token is missing or wrong", "Bearer")
	}
	who.token = found.ID
	if key == "" {
		who.id = found.ID
	}
	return who, nil
}

// maxSecretBytes is more than any key or token has, and little enough to be hashed for anybody.
const maxSecretBytes = 512

// strangers is how many shares those have together whose key is not known yet. They are told apart by their address.
const strangers = 64

func stranger(address string) string {
	digest := sha256.Sum256([]byte(address))
	return "stranger " + strconv.Itoa(int(digest[0])%strangers)
}

// unauthorised keeps a database that does not answer apart from a secret that is wrong.
func unauthorized(err error, message, scheme string) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return refuse(http.StatusUnauthorized, "UNAUTHORIZED", message).with("WWW-Authenticate", scheme)
}

func bearer(h http.Header) string {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/tenantwatch/tenantwatch/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// caller is who makes a request. The zero caller has shown nothing.
type caller struct {
	id      string // of the key, else of the token
	service string // of the key; empty without one
}

// sees reports whether the caller may read what belongs to service. A key reads what is its own, also when a token comes
// with it; a token alone reads everything.
func (c caller) sees(service string) bool { return c.service == "" || c.service == service }

// reads is whose lists count together: those of a service, whichever of its keys it shows.
func (c caller) reads() string {
	if c.service != "" {
		return "service " + c.service
	}
	return c.id
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	found, _ := ctx.Value(callerKey{}).(caller)
	return found
}

// authorize says who makes the request, or refuses it. There has to be a key or a token, the token where needsToken is
// set, and what is there has to be right.
func (s *Server) authorize(ctx context.Context, h http.Header, needsToken bool) (caller, error) {
	var who caller
	key, token := h.Get(managerapi.HeaderAPIKey), bearer(h)
	if key != "" {
		found, err := s.check(ctx, s.store.CheckKey, key)
		if err != nil {
			return caller{}, unauthorized(err, managerapi.HeaderAPIKey+" is missing or wrong", "ApiKey")
		}
		who = caller{id: found.ID, service: found.Service}
	}
	if key == "" && token == "" && !needsToken {
		return caller{}, unauthorized(store.ErrNotFound, managerapi.HeaderAPIKey+" is missing or wrong", "ApiKey")
	}
	if key != "" && !needsToken {
		return who, nil
	}
	found, err := s.check(ctx, s.store.CheckToken, token)
	if err != nil {
		return caller{}, unauthorized(err, "the bearer token is missing or wrong", "Bearer")
	}
	if key == "" {
		who.id = found.ID
	}
	return who, nil
}

// maxSecretBytes is more than any key or token has, and little enough to be hashed for anybody.
const maxSecretBytes = 512

func (s *Server) check(ctx context.Context, lookUp func(context.Context, string) (store.Key, error), secret string) (store.Key, error) {
	if secret == "" || len(secret) > maxSecretBytes {
		return store.Key{}, store.ErrNotFound
	}
	return lookUp(ctx, secret)
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

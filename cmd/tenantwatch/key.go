package main

import (
	"context"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// keyCommand is what can be done to the API keys of services.
type keyCommand struct {
	Create keyCreateCommand `cmd:"" help:"Make an API key for a service. It is shown only once."`

	List keyListCommand `cmd:"" help:"List the API keys, without their secret values."`

	Revoke keyRevokeCommand `cmd:"" help:"Revoke an API key. It is refused from its next request on."`
}

type keyCreateCommand struct {
	managerFlags

	Service string `help:"The service that the key is for." placeholder:"NAME" required:""`

	Name string `default:"cli" form:"text" help:"A name for people."`
}

// Run prints the key alone on standard output, so that a shell can take it.
func (c *keyCreateCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		unknown, near, err := s.isNew(ctx, c.Service)
		if err != nil {
			return err
		}
		created, err := s.Admin().CreateKey(ctx, managerapi.CreateKeyRequest{Service: c.Service, Name: c.Name})
		if err != nil {
			return err
		}
		if unknown && len(near) > 0 {
			_ = s.err.line("%s is new; if that surprises you: there is %s", shown(c.Service), shown(strings.Join(near, ", ")))
		}
		return s.secret("created_key", created, string(created.Key), "key "+created.ID+" of "+created.Service)
	})
}

// secret shows what is shown once.
func (s *session) secret(kind string, object any, text, what string) error {
	return s.streams.secret(s.asJSON, kind, object, text, what)
}

func (std streams) secret(asJSON bool, kind string, object any, text, what string) error {
	if asJSON {
		return std.out.object(kind, time.Now(), object)
	}
	if err := std.out.line("%s", text); err != nil {
		return err
	}
	_ = std.err.line("%s: keep it now, it is not shown again", shown(what))
	return nil
}

type keyListCommand struct {
	managerFlags

	Service string `help:"List only the keys of this service." placeholder:"NAME"`
}

// Run prints what is known of the keys.
func (c *keyListCommand) Run(ctx context.Context, std streams) error {
	return c.read(ctx, std, func(ctx context.Context, s *session) error {
		keys, err := s.Admin().Keys(ctx, c.Service)
		if err != nil {
			return err
		}
		list := &listing{session: s, noun: "key", header: []string{"ID", "SERVICE", "CREATED", "LAST USED", "REVOKED", "NAME"}}
		if err := page(list, keys, keyCells); err != nil {
			return err
		}
		return list.end()
	})
}

func keyCells(k managerapi.KeyInfo) []string {
	return []string{k.ID, k.Service, day(k.CreatedAt), day(k.LastUsedAt), day(k.RevokedAt), k.Name}
}

type keyRevokeCommand struct {
	managerFlags

	ID string `arg:"" help:"The key's id, as \"key list\" shows it." name:"key-id"`
}

// Run revokes the key.
func (c *keyRevokeCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		if err := s.Admin().RevokeKey(ctx, c.ID); err != nil {
			return err
		}
		return s.revoked("key", c.ID)
	})
}

// revocation is a key or a token that was ended, for programs.
type revocation struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

func (s *session) revoked(kind, id string) error {
	return s.done("revocation", revocation{ID: id, Status: "revoked"}, "%s %s is revoked", kind, shown(id))
}

package main

import (
	"context"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// tokenCommand is what can be done to the tokens that writes and these commands need.
type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token. It is shown this once."`

	List tokenListCommand `cmd:"" help:"Show which tokens there are, and not the tokens."`

	Revoke tokenRevokeCommand `cmd:"" help:"End a token: it is refused from its next request on."`
}

type tokenCreateCommand struct {
	managerFlags

	Name string `help:"A name, for people."`
}

// Run prints the token alone on standard output, so that a shell can take it.
func (c *tokenCreateCommand) Run(ctx context.Context, std streams) error {
	return c.do(ctx, std, func(s *session) error {
		created, err := s.CreateToken(ctx, managerapi.CreateTokenRequest{Name: c.Name})
		if err != nil {
			return err
		}
		return s.secret(created, string(created.Token), "token "+created.ID)
	})
}

type tokenListCommand struct {
	managerFlags
}

// Run prints what is known of the tokens.
func (c *tokenListCommand) Run(ctx context.Context, std streams) error {
	return c.do(ctx, std, func(s *session) error {
		tokens, err := s.Tokens(ctx)
		if err != nil {
			return err
		}
		list := &listing{session: s, noun: "token", header: []string{"ID", "CREATED", "LAST USED", "REVOKED", "NAME"}}
		if err := page(list, tokens, tokenCells); err != nil {
			return err
		}
		return list.end()
	})
}

func tokenCells(t managerapi.TokenInfo) []string {
	return []string{t.ID, day(t.CreatedAt), day(t.LastUsedAt), day(t.RevokedAt), t.Name}
}

type tokenRevokeCommand struct {
	managerFlags

	ID string `arg:"" help:"The token's id, as \"token list\" shows it." name:"token-id"`
}

// Run revokes the token.
func (c *tokenRevokeCommand) Run(ctx context.Context, std streams) error {
	return c.do(ctx, std, func(s *session) error {
		if err := s.RevokeToken(ctx, c.ID); err != nil {
			return err
		}
		return s.revoked("token", c.ID)
	})
}

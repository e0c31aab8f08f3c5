package main

import (
	"cmp"
	"context"
	"errors"
	"os"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// tokenCommand is what can be done to the tokens that writes and these commands need.
type tokenCommand struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token. It is shown only once."`

	List tokenListCommand `cmd:"" help:"List the tokens, without their secret values."`

	Revoke tokenRevokeCommand `cmd:"" help:"Revoke a token. It is refused from its next request on."`
}

type tokenCreateCommand struct {
	managerFlags

	Name string `default:"cli" form:"text" help:"A name for people."`

	DB string `form:"url" help:"Make the token directly in this database, without a manager: sqlite:FILE or postgres://… Use it for the first token." name:"db" placeholder:"URL"`

	Environment string `form:"name" help:"With --db: the environment." placeholder:"NAME" setting:"kept-environment"`

	EncryptionKeyFile string `help:"With --db: the file with the encryption key, as for serve." name:"encryption-key-file" placeholder:"FILE" predictor:"file" setting:"encryption-key"`
}

// Run prints the token alone on standard output, so that a shell can take it.
func (c *tokenCreateCommand) Run(ctx context.Context, std streams) error {
	if c.DB != "" {
		return c.inDatabase(ctx, std)
	}
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		created, err := s.Admin().CreateToken(ctx, managerapi.CreateTokenRequest{Name: c.Name})
		if err != nil {
			return err
		}
		return s.secret("created_token", created, string(created.Token), "token "+created.ID)
	})
}

// inDatabase makes a token where no manager runs yet. It makes the database too, if it is not there.
func (c *tokenCreateCommand) inDatabase(ctx context.Context, std streams) error {
	l := &lookup{getenv: os.Getenv}
	flags := databaseFlags{DB: c.DB, Environment: c.Environment, EncryptionKeyFile: c.EncryptionKeyFile}
	d := flags.resolve(l)
	if problem := cmp.Or(wrongLength(c.Name, formPlain), wrongCharacter(c.Name, formPlain)); problem != "" {
		l.problems.note("--name " + problem) // before there is a database
	}
	if err := l.check("token create"); err != nil {
		return err
	}
	created, err := d.createToken(ctx, c.Name)
	if err != nil {
		return err
	}
	return std.secret(c.JSON, "created_token", created, string(created.Token), "token "+created.ID)
}

func (d database) createToken(ctx context.Context, name string) (created managerapi.CreatedToken, err error) {
	opened, err := d.open(ctx, nil)
	if err != nil {
		return created, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	token, secret, err := opened.CreateToken(ctx, name)
	if err != nil {
		return created, d.explain(err)
	}
	return managerapi.CreatedToken{ID: token.ID, Name: token.Name, Token: managerapi.Secret(secret)}, nil
}

type tokenListCommand struct {
	managerFlags
}

// Run prints what is known of the tokens.
func (c *tokenListCommand) Run(ctx context.Context, std streams) error {
	return c.read(ctx, std, func(ctx context.Context, s *session) error {
		tokens, err := s.Admin().Tokens(ctx)
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

	Force bool `help:"Revoke the token even when it is the last valid one. Then nothing can be changed until \"token create --db\" has made another."`
}

// Run revokes the token.
func (c *tokenRevokeCommand) Run(ctx context.Context, std streams) error {
	return c.change(ctx, std, func(ctx context.Context, s *session) error {
		err := s.Admin().RevokeToken(ctx, c.ID, c.Force)
		if errors.Is(err, managerapi.ErrConflict) {
			return &failure{err: err, advice: "Make another with \"token create\" first, and use that one. --force ends it all the same."}
		}
		if err != nil {
			return err
		}
		return s.revoked("token", c.ID)
	})
}

package abuse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// manyRows make a list that fills what a connection takes before anybody has read of it.
	manyRows = 600
	// few is which part of a short history is rows.
	few = 4
	// tidyLimit is how long it may take to delete what was made.
	tidyLimit = 2 * time.Minute
	// busyTries is how often a manager that has no room is asked to make or delete something.
	busyTries = 10
)

// prepare makes keys and tenants, and with them the events that an attack resumes from. The key of the attacker goes into cfg.
func prepare(ctx context.Context, cfg *Config) (*goodClient, error) {
	g := &goodClient{manager: cfg.Manager, http: cfg.Manager.client(true)}
	err := g.prepare(ctx, cfg)
	return g, err
}

func (g *goodClient) prepare(ctx context.Context, cfg *Config) error {
	var err error
	if g.key, err = g.makeKey(ctx, goodService); err != nil {
		return err
	}
	if cfg.Manager.Key, err = g.makeKey(ctx, badService); err != nil {
		return err
	}
	cfg.Decoy.Key, cfg.Decoy.Token = cfg.Manager.Key, cfg.Manager.Token
	if g.tenant, err = g.makeTenant(ctx, "good", goodService); err != nil {
		return err
	}
	bad, err := g.makeTenant(ctx, "bad", badService)
	if err != nil {
		return err
	}
	rows := min(manyRows, cfg.History/few)
	for i := range rows {
		if _, err := g.makeTenant(ctx, "row "+strconv.Itoa(i), badService); err != nil {
			return err
		}
	}
	for i := 3 * rows; i < cfg.History; i++ { //nolint:mnd // about what the rows have made
		if err := g.patiently(ctx, http.MethodPatch, "/v1/tenants/"+bad, `{"name":"bad `+strconv.Itoa(i)+`"}`, nil); err != nil {
			return err
		}
	}
	return nil
}

// patiently is do with the token, for what is not measured: where the manager says when to come again, it does.
func (g *goodClient) patiently(ctx context.Context, method, path, body string, into any) error {
	for try := 1; ; try++ {
		err := g.do(ctx, method, path, "", body, into)
		refused, ok := errors.AsType[*refusal](err)
		if !ok || refused.again == 0 || try == busyTries {
			return err
		}
		if err := sleep(ctx, min(refused.again, goodPatience)); err != nil {
			return err
		}
	}
}

func (g *goodClient) makeKey(ctx context.Context, service string) (string, error) {
	var made struct{ ID, Key string }
	err := g.patiently(ctx, http.MethodPost, "/v1/admin/keys", `{"service":"`+service+`","name":"bench"}`, &made)
	if err == nil {
		g.keys = append(g.keys, made.ID)
	}
	return made.Key, err
}

func (g *goodClient) makeTenant(ctx context.Context, name, service string) (string, error) {
	slug := strings.ReplaceAll(name, " ", "-") + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	var made struct{ ID string }
	body := `{"name":"` + name + `","slug":"` + slug + `","owner":{"email":"bench@example.com"}}`
	if err := g.patiently(ctx, http.MethodPost, "/v1/tenants", body, &made); err != nil {
		return "", err
	}
	g.tenants = append(g.tenants, made.ID)
	return made.ID, g.patiently(ctx, http.MethodPost, "/v1/tenants/"+made.ID+"/associations/"+service, `{"isolationMode":"isolated"}`, nil)
}

// close deletes the tenants and revokes the keys that were made, unless the manager is thrown away with them. It does so even when
// ctx has ended. The error names what is left.
func (g *goodClient) close(ctx context.Context, disposable bool) error {
	defer g.http.CloseIdleConnections()
	if disposable {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
	defer cancel()
	var left []string
	var first error
	remove := func(kind, path string, ids []string) {
		for _, id := range ids {
			if err := g.patiently(ctx, http.MethodDelete, path+id, "", nil); err != nil {
				left = append(left, kind+" "+id)
				first = cmp.Or(first, err)
				if ctx.Err() != nil {
					return
				}
			}
		}
	}
	remove("tenant", "/v1/tenants/", g.tenants)
	remove("key", "/v1/admin/keys/", g.keys)
	if len(left) == 0 {
		return nil
	}
	const shown = 5
	return &LeftError{fmt.Errorf("%d tenants or keys that were made for this are still there (services %s and %s), such as %s: %w",
		len(left), goodService, badService, strings.Join(left[:min(shown, len(left))], ", "), first)}
}

// LeftError is an error that says what could not be deleted afterwards.
type LeftError struct{ Err error }

// Error names some of it.
func (l *LeftError) Error() string { return l.Err.Error() }

// Unwrap is why.
func (l *LeftError) Unwrap() error { return l.Err }

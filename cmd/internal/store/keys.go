package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
	"github.com/tenantwatch/tenantwatch/internal/contract"
	"github.com/tenantwatch/tenantwatch/internal/lifecycle"
)

const (
	secretBytes = 32
	keyPrefix   = "twk_"
	tokenPrefix = "twt_"
	// liveKeys of a service at once: the one that is used, and the one that takes its place.
	liveKeys = 2
	// noteEvery is how exact the time of a key's last use is, and noteLimit how long a request waits for it to be written.
	noteEvery = time.Minute
	noteLimit = 250 * time.Millisecond
)

// CreateKey makes an API key for a service, at most two live ones. The secret is shown now and never again. A third is a
// *[Conflict] TOO_MANY_KEYS; a service or a name that is none is an *[Invalid]. The name may be empty.
func (s *Store) CreateKey(ctx context.Context, service, name string) (k Key, secret string, err error) {
	if err := contract.CheckKnownService(service); err != nil {
		return Key{}, "", err
	}
	return s.createKey(ctx, keyPrefix, service, name)
}

// CreateToken makes a token for administrators. The secret is shown now and never again.
func (s *Store) CreateToken(ctx context.Context, name string) (k Key, secret string, err error) {
	return s.createKey(ctx, tokenPrefix, "", name)
}

// Keys returns the API keys of a service, or with an empty one of all, oldest first, revoked ones too.
func (s *Store) Keys(ctx context.Context, service string) ([]Key, error) {
	if service == "" {
		return s.keys(ctx, `service <> ?2`, "")
	}
	return s.keys(ctx, `service = ?2`, service)
}

// Tokens returns the tokens, oldest first, revoked ones too.
func (s *Store) Tokens(ctx context.Context) ([]Key, error) { return s.keys(ctx, `service = ?2`, "") }

// RevokeKey ends an API key, by its id, for the next request. Once more does nothing. It returns a *[NotFound].
func (s *Store) RevokeKey(ctx context.Context, id string) error {
	return s.change(ctx, "revoke a key", func(ctx context.Context, c *change) error {
		k, err := c.key(ctx, lifecycle.OfKey, id)
		if err != nil || !k.RevokedAt.IsZero() {
			return err
		}
		return c.revoke(ctx, "keys/", id)
	})
}

// RevokeToken ends a token, by its id, for the next request. Once more does nothing. It returns a *[NotFound], and, unless
// force is set, a *[Conflict] LAST_TOKEN for the last one that holds: without one nobody can change anything, and nobody can
// make another but in the database.
func (s *Store) RevokeToken(ctx context.Context, id string, force bool) error {
	return s.change(ctx, "revoke a token", func(ctx context.Context, c *change) error {
		k, err := c.key(ctx, lifecycle.OfToken, id)
		if err != nil || !k.RevokedAt.IsZero() {
			return err
		}
		var others int
		if err := c.Row(ctx, `SELECT COUNT(*) FROM keys WHERE env = ?1 AND service = '' AND revoked_at IS NULL AND id <> ?2`,
			s.env, id).Scan(&others); err != nil {
			return err
		}
		if others == 0 && !force {
			return &Conflict{Code: "LAST_TOKEN", Message: "this is the last token that holds, and without one nothing can be changed: " +
				"make another first, or force it"}
		}
		return c.revoke(ctx, "tokens/", id)
	})
}

// key reads one of that kind.
func (c *change) key(ctx context.Context, kind, id string) (Key, error) {
	k, _, err := scanKey(c.Row(ctx, `SELECT `+keyColumns+` FROM keys WHERE env = ?1 AND id = ?2`, c.store.env, id))
	if errors.Is(err, sql.ErrNoRows) || err == nil && (k.Service == "") != (kind == lifecycle.OfToken) {
		return Key{}, &NotFound{Of: kind}
	}
	return k, err
}

func (c *change) revoke(ctx context.Context, kind, id string) error {
	c.touch(kind + id)
	_, err := c.Exec(ctx, `UPDATE keys SET revoked_at = ?1 WHERE env = ?2 AND id = ?3`, micros(c.now), c.store.env, id)
	return err
}

// CheckKey returns the API key that a secret is of. A wrong or a revoked one is ErrNotFound.
func (s *Store) CheckKey(ctx context.Context, secret string) (Key, error) {
	return s.check(ctx, keyPrefix, secret)
}

// CheckToken returns the token that a secret is of. A wrong or a revoked one is ErrNotFound.
func (s *Store) CheckToken(ctx context.Context, secret string) (Key, error) {
	return s.check(ctx, tokenPrefix, secret)
}

func (s *Store) createKey(ctx context.Context, prefix, service, name string) (Key, string, error) {
	if name != "" {
		if err := contract.CheckWord("name", "INVALID_NAME", name); err != nil {
			return Key{}, "", err
		}
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return Key{}, "", err
	}
	raw := make([]byte, secretBytes)
	if _, err := rand.Read(raw); err != nil {
		return Key{}, "", err
	}
	secret := prefix + base64.RawURLEncoding.EncodeToString(raw)
	k := Key{ID: id.String(), Name: name, Service: service}
	what := "create a key"
	if service == "" {
		what = "create a token"
	}
	err = s.change(ctx, what, func(ctx context.Context, c *change) error {
		if service != "" {
			if err := c.checkNewService(ctx, service); err != nil {
				return err
			}
		}
		k.CreatedAt = c.now
		return c.insertKey(ctx, k, secret)
	})
	if err != nil {
		return Key{}, "", err
	}
	return k, secret, nil
}

func (c *change) insertKey(ctx context.Context, k Key, secret string) error {
	var live int
	if err := c.Row(ctx, `SELECT COUNT(*) FROM keys WHERE env = ?1 AND service = ?2 AND revoked_at IS NULL`,
		c.store.env, k.Service).Scan(&live); err != nil {
		return err
	}
	if k.Service != "" && live >= liveKeys {
		return &Conflict{
			Code:    "TOO_MANY_KEYS",
			Message: "service " + k.Service + " has two live keys already: revoke one first",
		}
	}
	kind := "tokens/"
	if k.Service != "" {
		kind = "keys/"
	}
	c.touch(kind + k.ID)
	_, err := c.Exec(ctx, `INSERT INTO keys (id, env, service, name, digest, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)`,
		k.ID, c.store.env, k.Service, k.Name, digestOf(secret), micros(k.CreatedAt))
	return err
}

const keyColumns = `id, service, name, digest, created_at, revoked_at, last_used`

func (s *Store) keys(ctx context.Context, condition string, arg any) ([]Key, error) {
	out := []Key{}
	err := s.db.Query(ctx, "list keys", func(ctx context.Context, t sqldb.Tx) error {
		return t.Each(ctx, func(row sqldb.Row) error {
			k, _, err := scanKey(row)
			out = append(out, k)
			return err
		}, `SELECT `+keyColumns+` FROM keys WHERE env = ?1 AND `+condition+` ORDER BY created_at, id`, s.env, arg)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// check finds a secret by its digest; what a comparison in an index shows of a digest is worth nothing without a secret
// that has it.
func (s *Store) check(ctx context.Context, prefix, secret string) (Key, error) {
	if !strings.HasPrefix(secret, prefix) || len(secret) != len(prefix)+base64.RawURLEncoding.EncodedLen(secretBytes) { // no work for the database
		return Key{}, ErrNotFound
	}
	want := digestOf(secret)
	var k Key
	err := s.db.Lookup(ctx, "check a key", func(ctx context.Context, t sqldb.Tx) error {
		found, digest, err := scanKey(t.Row(ctx, `SELECT `+keyColumns+` FROM keys
			WHERE digest = ?1 AND env = ?2 AND revoked_at IS NULL`, want, s.env))
		if errors.Is(err, sql.ErrNoRows) || err == nil && subtle.ConstantTimeCompare(digest, want) != 1 {
			return ErrNotFound
		}
		k = found
		return err
	})
	if err != nil {
		return Key{}, err
	}
	s.noteUse(ctx, k)
	return k, nil
}

// noteUse writes when a key was used, at most once a minute, and at once or not at all: the request goes on although
// nothing can be written.
func (s *Store) noteUse(ctx context.Context, k Key) {
	now := time.Now()
	if !s.dueToNote(k, now) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, noteLimit)
	defer cancel()
	if err := s.db.Write(ctx, "note the use of a key", func(ctx context.Context, t sqldb.Tx) error {
		_, err := t.Exec(ctx, `UPDATE keys SET last_used = ?1 WHERE id = ?2`, micros(now.Truncate(noteEvery)), k.ID)
		return err
	}); err != nil {
		s.logger.WarnContext(ctx, "the last use of a key was not written", slog.String("key", k.ID), slog.Any("error", err))
	}
}

func (s *Store) dueToNote(k Key, now time.Time) bool {
	if now.Sub(k.LastUsed) < noteEvery {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.noted[k.ID]) < noteEvery {
		return false
	}
	s.noted[k.ID] = now
	return true
}

func scanKey(row interface{ Scan(dest ...any) error }) (Key, []byte, error) {
	var k Key
	var digest []byte
	var created int64
	var revoked, used sql.NullInt64
	err := row.Scan(&k.ID, &k.Service, &k.Name, &digest, &created, &revoked, &used)
	k.CreatedAt, k.RevokedAt, k.LastUsed = fromMicros(created), fromNullMicros(revoked), fromNullMicros(used)
	return k, digest, err
}

func digestOf(secret string) []byte {
	digest := sha256.Sum256([]byte(secret))
	return digest[:]
}

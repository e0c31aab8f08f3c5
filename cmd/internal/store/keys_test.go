package store

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/sqldb"
)

func TestS01KeysAreMadeCheckedAndRevoked(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		k, secret, err := s.CreateKey(ctx, "ledger", "first")
		if err != nil || k.Service != "ledger" || k.Name != "first" || k.ID == "" || k.CreatedAt.IsZero() || !k.RevokedAt.IsZero() {
			t.Fatalf("made %+v, %v", k, err)
		}
		if !strings.HasPrefix(secret, "twk_") || len(secret) != 4+43 {
			t.Errorf("the secret has %d characters and begins with %.4s", len(secret), secret)
		}
		got, err := s.CheckKey(ctx, secret)
		if err != nil || got != k {
			t.Errorf("checked: %+v, %v, want %+v", got, err, k)
		}
		for _, wrong := range []string{"", "twk_", secret[:len(secret)-1], secret + "x", strings.ToUpper(secret), "twt_" + secret[4:], k.ID, "twk_\x00\xff"} {
			if _, err := s.CheckKey(ctx, wrong); !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %v", wrong, err)
			}
		}
		if _, err := s.CheckToken(ctx, secret); !errors.Is(err, ErrNotFound) {
			t.Errorf("a key as a token: %v", err)
		}
		do(t, s.RevokeKey(ctx, k.ID))
		do(t, s.RevokeKey(ctx, k.ID))
		if _, err := s.CheckKey(ctx, secret); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoked: %v", err)
		}
		for _, id := range []string{"", "nobody", "\x00", "\xff"} {
			if err := errors.Join(s.RevokeKey(ctx, id), s.RevokeToken(ctx, id, true)); !errors.Is(err, ErrNotFound) {
				t.Errorf("revoke %q: %v", id, err)
			}
		}
	})
}

func TestS02AServiceHasTwoLiveKeys(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		first, oldSecret, err := s.CreateKey(ctx, "ledger", "")
		do(t, err)
		_, newSecret, err := s.CreateKey(ctx, "ledger", "second")
		do(t, err)
		_, _, err = s.CreateKey(ctx, "ledger", "third")
		wantConflict(t, err, "TOO_MANY_KEYS")
		_, _, err = s.CreateKey(ctx, "billing", "first")
		do(t, err)
		for _, secret := range []string{oldSecret, newSecret} {
			_, err := s.CheckKey(ctx, secret)
			do(t, err)
		}
		do(t, s.RevokeKey(ctx, first.ID))
		_, _, err = s.CreateKey(ctx, "ledger", "third")
		do(t, err)
		keys, err := s.Keys(ctx, "ledger")
		if err != nil || len(keys) != 3 || keys[0].ID != first.ID || keys[0].RevokedAt.IsZero() || !keys[1].RevokedAt.IsZero() {
			t.Errorf("keys of ledger: %+v, %v", keys, err)
		}
		if keys, err := s.Keys(ctx, ""); err != nil || len(keys) != 4 {
			t.Errorf("all keys: %+v, %v", keys, err)
		}
		_, _, err = s.CreateKey(ctx, " ", "x")
		wantInvalid(t, err, "INVALID_SERVICE")
		_, _, err = s.CreateKey(ctx, "ledger", "a\nb")
		wantInvalid(t, err, "INVALID_NAME")
	})
}

// TestS02TwoLiveKeysAtTheMost lets many ask at once.
func TestS02TwoLiveKeysAtTheMost(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := s.CreateKey(t.Context(), "ledger", ""); err != nil {
					wantConflict(t, err, "TOO_MANY_KEYS")
				}
			})
		}
		wg.Wait()
		if keys, err := s.Keys(t.Context(), "ledger"); err != nil || len(keys) != liveKeys {
			t.Errorf("%d keys, %v", len(keys), err)
		}
	})
}

func TestS01TokensAreNoKeys(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for range 3 {
			_, _, err := s.CreateToken(ctx, "many")
			do(t, err)
		}
		k, secret, err := s.CreateToken(ctx, "ops")
		if err != nil || !strings.HasPrefix(secret, "twt_") || k.Service != "" {
			t.Fatalf("made %+v, %v", k, err)
		}
		if got, err := s.CheckToken(ctx, secret); err != nil || got != k {
			t.Errorf("checked %+v, %v", got, err)
		}
		if _, err := s.CheckKey(ctx, secret); !errors.Is(err, ErrNotFound) {
			t.Errorf("a token as a key: %v", err)
		}
		if _, err := s.CheckKey(ctx, "twk_"+secret[4:]); !errors.Is(err, ErrNotFound) {
			t.Errorf("a token that calls itself a key: %v", err)
		}
		if keys, err := s.Keys(ctx, ""); err != nil || len(keys) != 0 {
			t.Errorf("keys: %+v, %v", keys, err)
		}
		if err := s.RevokeKey(ctx, k.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("a token revoked as a key: %v", err)
		}
		do(t, s.RevokeToken(ctx, k.ID, false))
		do(t, s.RevokeToken(ctx, k.ID, false)) // once more does nothing
		if _, err := s.CheckToken(ctx, secret); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoked: %v", err)
		}
		if tokens, err := s.Tokens(ctx); err != nil || len(tokens) != 4 {
			t.Errorf("tokens: %+v, %v", tokens, err)
		}
	})
}

func TestTheLastUseOfAKeyIsKnownToTheMinute(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		k, secret, err := s.CreateKey(ctx, "ledger", "")
		do(t, err)
		before := time.Now().Truncate(time.Minute)
		var used time.Time
		eventually(t, "the last use is written", func() bool { // a busy machine may be too slow for the first try
			clear(s.noted)
			_, err := s.CheckKey(ctx, secret)
			do(t, err)
			keys, err := s.Keys(ctx, "ledger")
			do(t, err)
			used = keys[0].LastUsed
			return !used.IsZero()
		})
		if used.Before(before) || used.Second() != 0 || used.Nanosecond() != 0 {
			t.Errorf("last used %s", used)
		}
		now := time.Now()
		for name, tt := range map[string]struct {
			used, noted time.Time
			want        bool
		}{
			"never":                   {want: true},
			"just now":                {used: now.Add(-time.Second), want: false},
			"a while ago":             {used: now.Add(-time.Hour), want: true},
			"noted by us a while ago": {used: now.Add(-time.Hour), noted: now.Add(-time.Hour), want: true},
			"noted by us just now":    {used: now.Add(-time.Hour), noted: now.Add(-time.Second), want: false},
		} {
			s.noted[k.ID] = tt.noted
			if got := s.dueToNote(Key{ID: k.ID, LastUsed: tt.used}, now); got != tt.want {
				t.Errorf("%s: due %t", name, got)
			}
		}
	})
}

// TestAKeyIsCheckedThoughNothingCanBeWritten: its last use is not worth a failed request.
func TestAKeyIsCheckedThoughNothingCanBeWritten(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *Store) {
		var log bytes.Buffer
		s.logger = textLogger(&log)
		_, secret, err := s.CreateKey(t.Context(), "ledger", "")
		do(t, err)
		done := errors.New("nothing is to be committed")
		if err := s.db.Write(t.Context(), "hold it", func(ctx context.Context, q sqldb.Tx) error {
			_, err := q.Exec(ctx, `UPDATE keys SET last_used = last_used`)
			do(t, err)
			_, err = s.CheckKey(t.Context(), secret)
			do(t, err)
			return done
		}); !errors.Is(err, done) {
			t.Error(err)
		}
		if !strings.Contains(log.String(), "was not written") || strings.Contains(log.String(), secret) {
			t.Errorf("the log says %s", log.String())
		}
	})
}

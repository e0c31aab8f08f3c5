package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"

	"github.com/tenantwatch/tenantwatch/internal/store"
)

const (
	schemeSQLite  = "sqlite:"
	defaultDB     = schemeSQLite + "tenantwatch.db"
	encryptionKey = 32 // bytes
)

// databaseFlags are what every command has that opens the database itself.
type databaseFlags struct {
	DB string `help:"The database: sqlite:FILE or postgres://user:password@host/name; sqlite:tenantwatch.db if there is none ($$TENANTWATCH_DB). Everybody on this machine can see a password in a flag: prefer the environment." name:"db" placeholder:"URL"`

	Environment string `help:"The one environment whose tenants are kept ($$TENANTWATCH_ENVIRONMENT)." placeholder:"NAME"`

	EncryptionKeyFile string `help:"A file with 32 random bytes, as hex or base64, that encrypt connection data ($$TENANTWATCH_ENCRYPTION_KEY_FILE)." name:"encryption-key-file" placeholder:"FILE"`
}

// database is what opening the store needs.
type database struct {
	dsn, environment, keyFile string
	tenantID                  func(n int64) string // how ids are made; nil is the store's way
}

// resolve notes what is missing in l.
func (f *databaseFlags) resolve(l *lookup) database {
	return database{
		environment: l.need("the environment", "--environment", f.Environment, "TENANTWATCH_ENVIRONMENT"),
		dsn:         l.or(defaultDB, "the database", "--db", f.DB, "TENANTWATCH_DB"),
		keyFile:     l.need("the encryption key", "--encryption-key-file", f.EncryptionKeyFile, "TENANTWATCH_ENCRYPTION_KEY_FILE"),
	}
}

// check is the error of a command that opens the database, nil if it can.
func (d database) check(l *lookup, command string) error {
	if len(l.missing) > 0 {
		return &usageError{
			text:   "settings are missing:\n" + strings.Join(l.missing, "\n"),
			advice: fmt.Sprintf("They are those of \"tenantwatch serve\". Run \"tenantwatch %s --help\" for the flags.", command),
		}
	}
	var p problems
	p.note(databaseProblem(d.dsn))
	p.add(oddNames("--environment", d.environment)...)
	return p.usage(command)
}

// readEncryptionKey reads 32 bytes as hex or base64. Nothing of the file shows in the error.
func readEncryptionKey(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := readKey(file)
	if err != nil {
		return nil, err
	}
	text = strings.TrimSpace(text)
	decoders := []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	}
	for _, decode := range decoders {
		if key, err := decode(text); err == nil && len(key) == encryptionKey {
			return key, nil
		}
	}
	return nil, errors.New("it does not have 32 bytes as hex or base64")
}

// databaseProblem says what is wrong with a URL. Nothing of it shows, since any part can be a piece of a password.
func databaseProblem(dsn string) string {
	if file, ok := strings.CutPrefix(dsn, schemeSQLite); ok {
		if file == "" {
			return "--db names no file after sqlite:"
		}
		return ""
	}
	parsed, err := url.Parse(dsn)
	if err != nil || parsed.Scheme != "postgres" && parsed.Scheme != "postgresql" {
		return "--db has to be sqlite:FILE or postgres://…; special characters in a password have to be percent-encoded"
	}
	return ""
}

// withoutPassword is a URL for people.
func withoutPassword(text string) string {
	if strings.HasPrefix(text, schemeSQLite) {
		return text
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return "(cannot be shown)"
	}
	query := parsed.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "password") {
			query.Set(name, "xxxxx")
		}
	}
	parsed.RawQuery = query.Encode()
	return parsed.Redacted()
}

// open opens the store, and says what to do when that cannot be.
func (d database) open(ctx context.Context, logger *slog.Logger) (*store.Store, error) {
	options, err := d.options(logger)
	if err != nil {
		return nil, err
	}
	opened, err := store.Open(ctx, d.dsn, options)
	if err != nil {
		return nil, d.explain(err)
	}
	return opened, nil
}

func (d database) options(logger *slog.Logger) (store.Options, error) {
	key, err := readEncryptionKey(d.keyFile)
	if err != nil {
		return store.Options{}, &failure{
			err:    fmt.Errorf("read the encryption key: %w", err),
			advice: "\"openssl rand -hex 32\" makes one. Keep it: without it connection data cannot be read again.",
		}
	}
	return store.Options{Environment: d.environment, Key: key, TenantID: d.tenantID, Logger: logger}, nil
}

// explain says what to do about an error of the store.
func (d database) explain(err error) error {
	advice := "Check " + withoutPassword(d.dsn) + "."
	switch {
	case errors.Is(err, store.ErrInUse):
		advice = "A manager has it open. Talk to that one with --manager-url, or end it first; several managers need PostgreSQL."
	case errors.Is(err, store.ErrSchemaTooNew):
		advice = "Run the version of tenantwatch that migrated it, or a newer one."
	case errors.Is(err, store.ErrWrongKey):
		advice = "Give the encryption key that the database was begun with."
	case errors.Is(err, store.ErrUnavailable):
		advice = "Check that " + withoutPassword(d.dsn) + " is there, can be written, and lets this user in."
	}
	return &failure{err: err, advice: advice}
}

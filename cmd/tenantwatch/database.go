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
	"slices"
	"strings"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/internal/urlproblem"
)

const (
	schemeSQLite  = "sqlite:"
	defaultDB     = schemeSQLite + "tenantwatch.db"
	encryptionKey = 32 // bytes
)

// databaseFlags are what every command has that opens the database itself.
type databaseFlags struct {
	DB string `form:"url" help:"The database: sqlite:FILE or postgres://user:password@host/name. The default is sqlite:tenantwatch.db. Everybody on this machine can see a password in a flag: prefer the environment." name:"db" placeholder:"URL" setting:"database"`

	Environment string `form:"name" help:"The environment of the manager. All its tenants belong to it." placeholder:"NAME" setting:"kept-environment"`

	EncryptionKeyFile string `help:"A file with the key that encrypts connection data: 32 random bytes, in hex or base64." name:"encryption-key-file" placeholder:"FILE" predictor:"file" setting:"encryption-key"`
}

// database is what opening the store needs.
type database struct {
	dsn, environment, keyFile string
	formerly                  string               // the environment's name that is refused by now; may be empty
	tenantID                  func(n int64) string // how ids are made; nil is the store's way
	migrating                 func()               // is told that a migration is what takes so long; may be nil
}

// The settings of a database.
var (
	keptEnvironment = setting{what: "the environment", flag: "--environment", variables: []string{"TENANTWATCH_ENVIRONMENT"}}
	databaseAt      = setting{what: "the database", flag: "--db", variables: []string{"TENANTWATCH_DB"}, fallback: defaultDB, form: formURL}
	encryptedWith   = setting{what: "the encryption key", flag: "--encryption-key-file", variables: []string{"TENANTWATCH_ENCRYPTION_KEY_FILE"}}
)

// resolve notes what is missing in l, and what makes no sense.
func (f *databaseFlags) resolve(l *lookup) database {
	d := database{
		environment: l.environment(keptEnvironment, f.Environment),
		dsn:         l.database(f.DB),
	}
	file, from := l.find(encryptedWith, f.EncryptionKeyFile)
	if _, ok := decodeKey(file); ok && !isThere(file) { // a path of 43 letters and slashes reads as base64 too
		l.problems.note(from + " has the key itself, and should name a file with it")
		l.found = slices.DeleteFunc(l.found, func(s foundSetting) bool { return s.Name == encryptedWith.what })
		file = ""
	}
	d.keyFile = file
	return d
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// database finds the URL of a database.
func (l *lookup) database(value string) string {
	dsn, from := l.find(databaseAt, value)
	if dsn == "" {
		return ""
	}
	if problem := databaseProblem(dsn); problem != "" {
		l.problems.note(from + " " + problem)
	}
	return dsn
}

// check is the error of a command that opens the database, nil if it can.
func (l *lookup) check(command string) error {
	return l.fault("They are those of \"tenantwatch serve\". "+seeHelp(command), seeHelp(command))
}

// readEncryptionKey reads 32 bytes as hex or base64. Nothing of the file shows in the error.
func readEncryptionKey(ctx context.Context, path string) ([]byte, error) {
	text, err := readSettingFile(ctx, path)
	if err != nil {
		return nil, err
	}
	if len(text) == encryptionKey {
		return nil, fmt.Errorf("%s has 32 bytes as they are: write them as hex or base64", shown(path))
	}
	written, err := secretIn(text, shown(path))
	if err != nil {
		return nil, err
	}
	if key, ok := decodeKey(written); ok {
		return key, nil
	}
	return nil, fmt.Errorf("%s does not have 32 bytes as hex or base64", shown(path))
}

func decodeKey(text string) (key []byte, ok bool) {
	decoders := []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	}
	for _, decode := range decoders {
		if key, err := decode(text); err == nil && len(key) == encryptionKey {
			return key, true
		}
	}
	return nil, false
}

// databaseProblem says what is wrong with a URL. Nothing of it shows, since any part can be a piece of a password.
func databaseProblem(dsn string) string {
	file, ok := strings.CutPrefix(dsn, schemeSQLite)
	switch {
	case ok && file == "":
		return "names no file after sqlite:"
	case ok && strings.HasPrefix(file, "//"):
		return "has slashes after sqlite: that other programs want: write sqlite:FILE, with one slash for an absolute path"
	case ok && strings.Contains(file, "://"):
		return "is sqlite: before the URL of another database: leave out sqlite:"
	case ok:
		return ""
	}
	if problem := urlproblem.Postgres.Problem(dsn); problem != "" {
		return problem + "; it has to be sqlite:FILE or " + urlproblem.Postgres.Example
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
	options, err := d.options(ctx, logger)
	if err != nil {
		return nil, err
	}
	opened, err := store.Open(ctx, d.dsn, options)
	if err != nil {
		return nil, d.explain(err)
	}
	return opened, nil
}

func (d database) options(ctx context.Context, logger *slog.Logger) (store.Options, error) {
	key, err := readEncryptionKey(ctx, d.keyFile)
	advice := "\"openssl rand -hex 32\" makes one. Keep it: without it connection data cannot be read again."
	if err == nil {
		// No word of another key: nothing that was written with this one could be read with that.
		err, advice = checkMode(ctx, logger, d.keyFile), "Keep the key: without it connection data cannot be read again."
	}
	if err != nil {
		return store.Options{}, &failure{err: fmt.Errorf("read the encryption key: %w", err), advice: advice, permanent: true}
	}
	return store.Options{Environment: d.environment, Formerly: d.formerly, Key: key, TenantID: d.tenantID, Logger: logger, Migrating: d.migrating}, nil
}

// explain says what to do about an error of the store.
func (d database) explain(err error) error {
	advice := "Check " + withoutPassword(d.dsn) + "."
	switch {
	case errors.Is(err, store.ErrInUse) && !strings.HasPrefix(d.dsn, schemeSQLite):
		advice = "A manager relays the events of this environment, under its name of before or while it may not. End all managers of it first."
	case errors.Is(err, store.ErrInUse):
		advice = "A manager has it open. Talk to that one with --manager-url, or end it first; several managers need PostgreSQL."
	case errors.Is(err, store.ErrSchemaTooNew):
		advice = "Run the version of tenantwatch that migrated it, or a newer one."
	case errors.Is(err, store.ErrWeakKey):
		advice = "\"openssl rand -hex 32\" makes one that is random. Keep it: without it connection data cannot be read again."
	case errors.Is(err, store.ErrWrongKey):
		advice = "Give the encryption key that the database was begun with."
	case errors.Is(err, store.ErrTwoSpellings):
		advice = "Open it with the version of tenantwatch that made them, and move the tenants of one to the other. Where one came of --formerly, leave that out, or give a name in --environment that has no tenants in this database."
	case isFormerly(err):
		advice = "Leave out --formerly, or give it a name that the log of a start has named: one that is refused by now."
	case errors.Is(err, store.ErrNotFound):
		advice = "Nothing was restored. Check --environment, --formerly and " + withoutPassword(d.dsn) + "."
	case errors.Is(err, store.ErrNoSessions):
		advice = "Set pool_mode = session in the pooler for this database, or name PostgreSQL itself with --db."
	case farDatabase.connectionAdvice(err) != "":
		advice = farDatabase.connectionAdvice(err)
	case errors.Is(err, store.ErrUnavailable):
		advice = "Check that " + withoutPassword(d.dsn) + " is there, can be written, and lets this user in."
	}
	return &failure{err: err, advice: advice, permanent: lastingDatabase(err)}
}

// isFormerly is of a former name that the store refuses.
func isFormerly(err error) bool {
	invalid, ok := errors.AsType[*store.Invalid](err)
	return ok && invalid.Code == "INVALID_FORMERLY"
}

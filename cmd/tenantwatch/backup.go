package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// backupCommand copies the database while a manager may be using it.
type backupCommand struct {
	DB string `form:"url" help:"The database: sqlite:FILE." name:"db" placeholder:"URL" setting:"database"`

	To string `arg:"" help:"The file to write. It must not exist yet." name:"file" predictor:"file"`

	JSON bool `help:"Print one JSON object." name:"json" variable:"TENANTWATCH_JSON"`
}

// Help is what --help adds.
func (c *backupCommand) Help() string {
	return `The copy is the data at one moment. Connection data in it is encrypted: keep the encryption key too, in another place. ` +
		`Use pg_dump to back up PostgreSQL.`
}

// backupDone is a backup for programs.
type backupDone struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

// Run writes the copy.
func (c *backupCommand) Run(ctx context.Context, std streams) error {
	l := &lookup{getenv: os.Getenv}
	d := database{dsn: l.database(c.DB)}
	if err := l.check("backup"); err != nil {
		return err
	}
	if !strings.HasPrefix(d.dsn, schemeSQLite) {
		return &usageError{text: "PostgreSQL is backed up with its own tools", advice: "Use pg_dump, and keep the encryption key too."}
	}
	if _, err := os.Lstat(c.To); err == nil { // the store looks too; this is for the advice
		return &failure{err: fmt.Errorf("back up: %s is there already", shown(c.To)), advice: "Give another name, or move it away.", permanent: true}
	}
	if err := store.Backup(ctx, d.dsn, c.To); err != nil {
		return d.explain(err)
	}
	info, err := os.Stat(c.To)
	if err != nil {
		return fmt.Errorf("look at the backup: %w", err)
	}
	return std.result(c.JSON, "backup", backupDone{File: c.To, Bytes: info.Size()}, "%s has %d bytes; the encryption key is not in it", shown(c.To), info.Size())
}

// restoreCommand puts a backup in the place of the database.
type restoreCommand struct {
	databaseFlags

	Formerly string `form:"text" help:"The former name of the environment, if an older version allowed a name that is refused now, such as default. Its data is restored under the name of --environment." placeholder:"NAME" variable:"TENANTWATCH_FORMERLY"`

	From string `arg:"" help:"The file that \"tenantwatch backup\" wrote. Give none for a PostgreSQL database that pg_restore has filled." name:"file" optional:"" predictor:"file"`

	JSON bool `help:"Print one JSON object." name:"json" variable:"TENANTWATCH_JSON"`
}

// Help is what --help adds.
func (c *restoreCommand) Help() string {
	return `The manager must not be running. A SQLite file must not exist yet: move the old one away. The data gets a new epoch, ` +
		`so that services read a new list instead of relying on revisions that are no longer true. With PostgreSQL, fill the ` +
		`database with pg_restore first, and then run this command without a file.`
}

// restoreDone is a restore for programs.
type restoreDone struct {
	Database    string `json:"database"`
	Environment string `json:"environment"`
	Epoch       string `json:"epoch"`
}

// Run restores, and opens the result once to see that it is one.
func (c *restoreCommand) Run(ctx context.Context, std streams) (err error) {
	l := &lookup{getenv: os.Getenv}
	d := c.resolve(l)
	d.formerly = c.Formerly
	if err := l.check("restore"); err != nil {
		return err
	}
	if sqlite := strings.HasPrefix(d.dsn, schemeSQLite); sqlite != (c.From != "") {
		return &usageError{
			text:   "a backup file goes with sqlite:FILE, and only with that",
			advice: "Fill a PostgreSQL with pg_restore, and then run restore without a file.",
		}
	}
	options, err := d.options(ctx, nil)
	if err != nil {
		return err
	}
	if err := store.Restore(ctx, d.dsn, c.From, options); err != nil {
		return d.explain(err)
	}
	restored, err := store.Open(ctx, d.dsn, options)
	if err != nil {
		return d.explain(err)
	}
	defer func() { err = errors.Join(err, restored.Close()) }()
	v, err := restored.Version(ctx)
	if err != nil {
		return d.explain(err)
	}
	done := restoreDone{Database: withoutPassword(d.dsn), Environment: d.environment, Epoch: v.Epoch}
	return std.result(c.JSON, "restore", done, "%s is restored; its epoch is now %s", withoutPassword(d.dsn), v.Epoch)
}

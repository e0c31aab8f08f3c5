// Command tenantwatch shows which tenants are active for a service, and every change of them as it happens; and it is the
// tenant manager, which holds the truth about them.
//
//	tenantwatch dev        everything in one process: a tenant manager, Redis, a discovery, and tenants that come and go
//	tenantwatch follow     the active tenants of a service, and then every change, from a real manager and a real Redis
//	tenantwatch work       a process for each active tenant of a service, supervised, ended when the tenant goes
//	tenantwatch serve      the tenant manager: a REST API over a database, whose changes are announced on Redis
//	tenantwatch tenant     create, list, get, suspend, reactivate and delete tenants
//	tenantwatch service    associate a tenant with a service, suspend and reactivate that, and end it
//	tenantwatch key        the API keys of services: create, list, revoke
//	tenantwatch token      the tokens that changes need: create, list, revoke
//	tenantwatch events     the lifecycle events that the manager keeps
//	tenantwatch backup     a copy of the manager's SQLite database, while it runs
//	tenantwatch restore    a backup in the place of the database, with a new epoch
//	tenantwatch outbox     the events that could not be published, and another try
//	tenantwatch bench      what a good client feels while a manager is attacked
//	tenantwatch completion what makes a shell complete the command line
//	tenantwatch help       the help of a command
//	tenantwatch version    what this binary was built from
//
// All but serve, backup, restore and "token create --db" talk to a running manager.
//
// It exits with 0 when it did what it was asked to, which for dev, follow, work and serve includes being ended by Ctrl-C or
// SIGTERM and, but for serve, by SIGHUP; with 1 when it could not; with 2 when it was asked for something that makes no sense;
// and with 78 when something is wrong that no retry mends, as a key that is refused. When it fails it says on standard error
// what went wrong and what to do about it. When the reader of its output goes away, as in "tenantwatch follow | head -1", it
// takes down what it started, on Linux at once and elsewhere with the next line that it has to print, and ends with 141 and
// without a word.
//
// # Files, in reading order
//
//	main.go                                   the commands, and how one is run
//	pages.go                                  what the help of each adds: what it prints where, and an example
//	completion.go, version.go                 completion, help, version
//	argument.go, value.go                     what a value on the command line, or in a variable, may be
//	variables.go                              which variable stands for which flag
//	lookup.go, settings.go                    what a command looks for when it runs; all that is missing is told at once
//	settingfile.go, keyfile.go                files with secrets
//	redisflags.go, managertls.go              the settings of Redis, and of TLS with the manager
//	exit.go, advice.go, words.go              errors: exit codes, what to do, and in whose words
//	output.go, columns.go, confirm.go         what is printed, and asked
//	status.go, standstill.go                  changes of state
//	signals.go                                how the program ends
//	connection.go                             a discovery, for:
//	follow.go                                 follow
//	work.go, runner.go                        work: a worker.Group over a discovery's Changes; the process of one tenant. The rest is in process
//	manager.go                                a client of the manager, for:
//	tenant.go, service.go, spelling.go        tenants and associations
//	key.go, token.go, events.go, outbox.go    what administrators do
//	database.go                               the database, for:
//	servesettings.go, certificate.go, serve.go serve
//	backup.go                                 backup and restore
//	stack.go, files.go, files_*.go            what dev starts
//	churn.go, report.go, banner.go, dev.go    dev: what it changes, and what it prints
//	benchmanager.go, bench.go                 bench
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
)

func main() {
	ctx, stop := process.WhileRead(untilEnded(), os.Stdout)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// streams are what a command reads from and writes to.
type streams struct {
	in       io.Reader
	out, err *printer
}

// commands is the command line. Its doc strings are what --help prints.
type commands struct {
	PrintVersion kong.VersionFlag `help:"Show what this binary was built from." name:"version"`

	Dev    devCommand    `cmd:"" group:"look" help:"Show a demonstration: a tenant manager, a Redis and the set of a worker in one process, with tenants that come and go."`
	Follow followCommand `cmd:"" group:"look" help:"Print the active tenants of a service, and then every change."`
	Work   workCommand   `cmd:"" group:"look" help:"Run a program for each active tenant of a service. End it when the tenant goes."`

	Tenant  tenantCommand  `cmd:"" group:"manage" help:"Create, list, show, suspend, reactivate and delete tenants."`
	Service serviceCommand `cmd:"" group:"manage" help:"Associate tenants with services, and end associations."`
	Key     keyCommand     `cmd:"" group:"manage" help:"Make, list and revoke the API keys of services."`
	Token   tokenCommand   `cmd:"" group:"manage" help:"Make, list and revoke the tokens that changes need."`
	Events  eventsCommand  `cmd:"" group:"manage" help:"Show the lifecycle events that the manager keeps."`
	Outbox  outboxCommand  `cmd:"" group:"manage" help:"Show the events that could not be published, and try to publish them again."`

	Serve   serveCommand   `cmd:"" group:"operate" help:"Run the tenant manager: a REST API over a database. It announces each change on Redis."`
	Backup  backupCommand  `cmd:"" group:"operate" help:"Copy a SQLite database. Its manager may be running."`
	Restore restoreCommand `cmd:"" group:"operate" help:"Restore the database from a backup, and give the data a new epoch."`
	Bench   benchCommand   `cmd:"" group:"operate" help:"Measure how a manager serves a good client while it is attacked."`

	Completion completionCommand `cmd:"" group:"about" help:"Print a script that makes a shell complete commands and flags."`
	Help       helpCommand       `cmd:"" group:"about" help:"Show the help of a command."`
	Version    versionCommand    `cmd:"" group:"about" help:"Show what this binary was built from."`
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	quietDriver()
	std := streams{in: stdin, out: &printer{w: stdout}, err: &printer{w: stderr, patience: errorPatience}}
	command, done, err := parse(args, std)
	if done && !errors.Is(err, process.ErrOutput) {
		return exitDone
	}
	name := "tenantwatch"
	if err == nil {
		name += " " + commandName(command.Command())
		command.BindTo(ctx, (*context.Context)(nil))
		command.Bind(std)
		err = command.Run()
		if cause := context.Cause(ctx); err == nil && process.BrokenPipe(cause) && lasting[command.Command()] {
			err = cause
		}
	}
	return report(std.err, name, err)
}

// lasting are the commands that go on until they are ended, as by a reader that goes away. The others have done what they
// were asked to whether somebody has read all of it or not.
var lasting = map[string]bool{"dev": true, "follow": true, "work <command>": true, "serve": true}

// commandName is a command without its arguments.
func commandName(command string) string {
	name, _, _ := strings.Cut(command, " <")
	return name
}

// parse returns done when the arguments, or a shell, asked for something that parsing prints.
func parse(args []string, std streams) (command *kong.Context, done bool, err error) {
	parser, err := newParser(std, func(int) { done = true }) // kong goes on parsing after it has printed the help
	if err != nil {
		return nil, false, fmt.Errorf("build the command line: %w", err)
	}
	if completed(parser) {
		return nil, true, nil
	}
	command, err = parser.Parse(args)
	if err != nil && !errors.Is(err, process.ErrOutput) { // of the help
		err = &usageError{text: hideSecrets(wrongArgument(err)), advice: "Run \"tenantwatch --help\" for what there is."}
	}
	return command, done, err
}

// newParser makes the command line, with the variables and the page of each command.
func newParser(std streams, exit func(int)) (*kong.Kong, error) {
	v := newVariables()
	parser, err := kong.New(&commands{}, append(append(checkedArguments(), v.options()...),
		kong.Name("tenantwatch"),
		kong.Description("Know which tenants are active for a service, and manage them.\n\n"+exitCodes),
		kong.Vars{"version": newBuild(debug.ReadBuildInfo()).String()},
		kong.ExplicitGroups(groups),
		kong.Writers(std.out, std.err),
		kong.Exit(exit),
	)...)
	if err != nil {
		return nil, err
	}
	v.learn(parser.Model.Node)
	describe(parser.Model.Node)
	return parser, nil
}

// wrongArgument is what kong says of a value, or what we do, which needs no name before it.
func wrongArgument(err error) string {
	if ours, ok := errors.AsType[*argumentError](err); ok {
		return ours.text
	}
	return err.Error()
}

// report tells of err and returns the exit code that belongs to it.
func report(stderr *printer, name string, err error) int {
	code := exitCode(err)
	if err == nil || code == exitPipe || errors.Is(err, errSilent) {
		return code // whoever read has seen what they wanted
	}
	_ = stderr.line("%s: %v", name, err)
	if usage, ok := errors.AsType[*usageError](err); ok {
		_ = stderr.line("%s", usage.advice)
	} else if failed, ok := errors.AsType[*failure](err); ok {
		_ = stderr.line("%s", failed.advice)
	}
	return code
}

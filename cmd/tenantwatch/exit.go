package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
	"github.com/tenantwatch/tenantwatch/managerapi"
)

// The exit codes. A supervisor that starts a command again when it fails shall not do so after the last two.
const (
	exitDone    = 0
	exitFailure = 1
	exitUsage   = 2
	exitLasting = 78  // EX_CONFIG: something is wrong that no retry mends
	exitPipe    = 141 // what a shell shows of a process that SIGPIPE has ended
)

// exitCodes is what --help says of them.
const exitCodes = `Exit codes: 0 done, or ended as asked; 1 failed, but may work later; 2 wrong command, flag or setting; ` +
	`78 something is wrong that no retry mends; 141 nobody reads the output any more.`

// errSilent is of a command that was ended in the middle, where there is nothing to tell.
var errSilent = errors.New("ended")

// errNotConfirmed means that the answer to a question was not what it had to be.
var errNotConfirmed = errors.New("not confirmed")

// usageError means that the command was called in a way that makes no sense.
type usageError struct {
	text, advice string
}

// Error says what is wrong.
func (e *usageError) Error() string { return e.text }

// failure is an error with advice for whoever called the command.
type failure struct {
	err       error
	words     string // what went wrong, where err has more than people want; else empty
	advice    string
	permanent bool // the same call fails again until somebody has changed something
}

// Error says what went wrong.
func (e *failure) Error() string {
	if e.words != "" {
		return e.words
	}
	return e.err.Error()
}

// Unwrap returns the error without the advice.
func (e *failure) Unwrap() error { return e.err }

// exitCode is the code that belongs to an error.
func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if process.BrokenPipe(err) {
		return exitPipe
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if failed, ok := errors.AsType[*failure](err); ok && failed.permanent {
		return exitLasting
	}
	return exitFailure
}

// lastingSQL are the SQLSTATEs of a client that is not let in, or of a database that is not there.
var lastingSQL = map[string]bool{"28000": true, "28P01": true, "3D000": true, "42501": true}

// notADatabase is SQLITE_NOTADB.
const notADatabase = 26

// lastingDatabase reports whether an error of opening the database stays until somebody has changed something. What the
// store calls unavailable passes, as a rule.
func lastingDatabase(err error) bool {
	if state, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return lastingSQL[state.SQLState()]
	}
	if code, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok {
		return code.Code()&0xff == notADatabase
	}
	if passingShortage(err) {
		return false
	}
	for _, passing := range []error{store.ErrUnavailable, store.ErrInUse, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, passing) {
			return errors.Is(err, fs.ErrPermission)
		}
	}
	return true
}

// passingShortage reports whether the system had too little of something, which may be there again at the next try.
func passingShortage(err error) bool {
	return slices.ContainsFunc([]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOSPC, syscall.EIO, syscall.ENOMEM, syscall.EAGAIN}, func(short error) bool {
		return errors.Is(err, short)
	})
}

// secretError is what is wrong with the file, or the input, that has a key or a token.
type secretError struct {
	err error
}

// Error says what is wrong.
func (e *secretError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *secretError) Unwrap() error { return e.err }

// lastingListener reports whether an address cannot be listened on whoever else ends.
func lastingListener(err error) bool { return errors.Is(err, syscall.EACCES) }

// lastingAnswer reports whether the manager refuses the key or the token itself. An answer without a code of the manager's
// comes from something between, which may be on its way up.
func lastingAnswer(err error) bool {
	if _, ok := errors.AsType[*secretError](err); ok {
		return true
	}
	answer, ok := errors.AsType[*managerapi.Error](err)
	refused := errors.Is(err, managerapi.ErrUnauthorized) || errors.Is(err, managerapi.ErrAccessDenied) && answer.TenantStatus == ""
	return ok && answer.Code != "" && refused
}

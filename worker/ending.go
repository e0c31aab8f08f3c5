package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/tenantwatch/tenantwatch/internal/usererror"
)

// errExited is what a call failed with that has called runtime.Goexit.
var errExited = errors.New("the goroutine was ended by runtime.Goexit")

// ending is how a call of somebody's code has ended, and all that is asked about its error: the methods of that are their
// code as well, and are called nowhere else.
type ending struct {
	err       error
	panicked  bool   // err is a *PanicError: it has not returned, or has returned an error whose methods do not
	cancelled bool   // err says no more than that a ctx has ended. A panic is a mistake all the same
	gaveUp    bool   // err is ErrGiveUp, and was returned
	stack     []byte // of the panic, or of one that err wraps
}

// guard calls fn, and then end with what came of it: an error, a panic, or runtime.Goexit. Neither may hold a lock.
func guard(fn func() error, end func(ending)) {
	err := errExited
	defer func() {
		switch value := recover(); {
		case value != nil:
			err = newPanic(value, debug.Stack())
		case err == errExited: //nolint:errorlint // it is this one or somebody else's, whose methods are not to be called here
			err = newPanic(err, debug.Stack())
		}
		end(endingOf(err))
	}()
	err = fn()
}

// endingOf looks at an error, where it enters.
func endingOf(err error) ending {
	e, sound := usererror.Look(err, read)
	e.err = sound
	if broken, ok := sound.(*usererror.Broken); ok { //nolint:errorlint // one that is wrapped is sound
		e.err = newPanic(broken, broken.Stack)
		e.stack = broken.Stack
	}
	_, e.panicked = e.err.(*PanicError) //nolint:errorlint // a panic that it wraps, of something that it has called, was returned
	e.cancelled = e.cancelled && !e.panicked
	e.gaveUp = e.gaveUp && !e.panicked
	return e
}

func read(err error) ending {
	e := ending{gaveUp: errors.Is(err, ErrGiveUp)}
	for _, cause := range []error{context.Canceled, ErrRemoved, ErrReconfigured, ErrStopping} {
		e.cancelled = e.cancelled || errors.Is(err, cause)
	}
	if panicked, ok := errors.AsType[*PanicError](err); ok {
		e.stack = panicked.Stack
	}
	return e
}

// PanicError is the failure of a function that panicked or called runtime.Goexit, or that returned an error with a
// method that does so.
type PanicError struct {
	// Value is the value of the panic. If it is an error whose methods panic, Value is an error that says so instead.
	Value any
	Stack []byte // of the goroutine, as runtime/debug prints it

	text string // empty for one that somebody else has made
}

// newPanic asks value what there is to ask, for nobody to do it later.
func newPanic(value any, stack []byte) *PanicError {
	if err, ok := value.(error); ok {
		_, value = usererror.Look(err, read)
	}
	e := &PanicError{Value: value, Stack: stack}
	if value == errExited { //nolint:errorlint // it is this one
		e.text = errExited.Error()
	} else {
		e.text = usererror.Text(e)
	}
	return e
}

// Error returns the value, without the stack.
func (e *PanicError) Error() string {
	if e.text != "" {
		return e.text
	}
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Package usererror looks at errors that code of others hands in: the work of a tenant, a client of the manager, a feed, the
// cause of a context. The methods of such an error are code of others too, and may panic: a nil *T is an error whose Unwrap
// reads the receiver. So an error is looked at once, by [Look], where it enters, with no lock held, and what is to be known
// about it later is noted there. From then on it is handed on, and asked for nothing but its [Text].
//
// A log's handler is code of others as well, see [Logger].
//
// The packages discovery, managerapi and worker use it.
package usererror

import (
	"errors"
	"fmt"
	"runtime/debug"
)

const (
	// deepest and most are how deep and how many the errors may be that one wraps. A chain that leads back to its
	// beginning is longer than any; a pass over 400,000 tenants, all of which failed, is not.
	deepest = 1000
	most    = 1_000_000
)

var (
	errEndless = errors.New("it wraps itself without end")
	errGone    = errors.New("it ended its goroutine")
)

// Broken stands in for an error whose methods panic, end their goroutine or lead round in a circle. It wraps nothing.
type Broken struct { //nolint:errname // it is read as usererror.Broken
	// Type is the type of the error, as in "*main.Failure".
	Type string
	// Text is what its Error returned; empty where that was what panicked.
	Text string
	// Cause says what its methods did instead of returning.
	Cause string
	// Stack is where they panicked; empty when they did something else.
	Stack []byte
}

// Error has what the error said, if it said anything, and what is wrong with its type.
func (b *Broken) Error() string {
	if b.Text == "" {
		return fmt.Sprintf("an error of type %s, whose methods fail: %s", b.Type, b.Cause)
	}
	return fmt.Sprintf("%s (of type %s, whose methods fail: %s)", b.Text, b.Type, b.Cause)
}

// Look calls the methods of err, and read, in which the caller asks it all that is to be known, by errors.Is, errors.As and
// the like. It returns what read returned, and err. Where something panics, calls runtime.Goexit or leads round in a circle
// it returns a *[Broken] in its place, and what read says to that. A nil err is returned with a zero T; read is not called.
//
// Look takes a goroutine of its own for it and waits for that, so no lock may be held: a method that blocks, blocks Look.
func Look[T any](err error, read func(error) T) (T, error) {
	var facts T
	if err == nil {
		return facts, nil
	}
	broken := &Broken{Type: fmt.Sprintf("%T", err), Cause: errGone.Error()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if value := recover(); value != nil {
				broken.Cause, broken.Stack = fmt.Sprint(value), debug.Stack()
			}
		}()
		broken.Text = err.Error()
		if seen := most; !ends(err, deepest, &seen) {
			broken.Cause = errEndless.Error()
			return
		}
		facts = read(err)
		broken = nil
	}()
	<-done
	if broken == nil {
		return facts, err
	}
	return read(broken), broken
}

// ends reports whether what err wraps comes to an end.
func ends(err error, depth int, left *int) bool {
	*left--
	if depth == 0 || *left < 0 {
		return false
	}
	switch wrapper := err.(type) { //nolint:errorlint // it is the walk that errors.Is makes
	case interface{ Unwrap() error }:
		if inner := wrapper.Unwrap(); inner != nil {
			return ends(inner, depth-1, left)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			if inner != nil && !ends(inner, depth-1, left) {
				return false
			}
		}
	}
	return true
}

// Text is what err says, or, if its Error does not return, what is wrong with it. Of nil it is empty. As with Look, no lock
// may be held.
func Text(err error) string {
	if err == nil {
		return ""
	}
	text, _ := Look(err, error.Error)
	if text == "" {
		return fmt.Sprintf("an error of type %T that says nothing", err)
	}
	return text
}

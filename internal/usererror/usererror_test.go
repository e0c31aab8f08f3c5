package usererror

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// failure panics when it is asked something and is nil.
type failure struct{ cause error }

func (f *failure) Error() string { return "failed: " + f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// custom has the methods that a test gives it.
type custom struct {
	text   func() string
	unwrap func() error
	is     func(error) bool
	as     func(any) bool
}

func (c custom) Error() string {
	if c.text == nil {
		return "custom"
	}
	return c.text()
}

func (c custom) Unwrap() error {
	if c.unwrap == nil {
		return nil
	}
	return c.unwrap()
}

func (c custom) Is(target error) bool { return c.is != nil && c.is(target) }
func (c custom) As(target any) bool   { return c.as != nil && c.as(target) }

type tree []error

func (tree) Error() string     { return "tree" }
func (t tree) Unwrap() []error { return t }

type circle struct{}

func (circle) Error() string   { return "circle" }
func (c circle) Unwrap() error { return c }

type facts struct{ cancelled, custom bool }

func read(err error) facts {
	_, isCustom := errors.AsType[*custom](err)
	return facts{cancelled: errors.Is(err, context.Canceled), custom: isCustom}
}

func TestAnErrorThatIsSoundIsHandedOn(t *testing.T) {
	err := fmt.Errorf("work: %w", errors.Join(nil, context.Canceled))
	seen, got := Look(err, read)
	if got != err || !seen.cancelled || seen.custom { //nolint:errorlint // it has to be this one
		t.Errorf("got %v, %+v", got, seen)
	}
	if seen, got := Look(nil, read); got != nil || seen != (facts{}) {
		t.Errorf("of nil: got %v, %+v", got, seen)
	}
}

func TestAnErrorWhoseMethodsFailIsReplaced(t *testing.T) {
	bush := tree{nil, nil}
	bush[0], bush[1] = bush, bush
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"a nil pointer", (*failure)(nil), "an error of type *usererror.failure, whose methods fail: runtime error: invalid memory address"},
		{"Error", custom{text: func() string { panic("E") }}, "an error of type usererror.custom, whose methods fail: E"},
		{"Unwrap", custom{unwrap: func() error { panic("U") }}, "custom (of type usererror.custom, whose methods fail: U)"},
		{"Is", custom{is: func(error) bool { panic("I") }}, "custom (of type usererror.custom, whose methods fail: I)"},
		{"As", custom{as: func(any) bool { panic("A") }}, "custom (of type usererror.custom, whose methods fail: A)"},
		{"deep inside", fmt.Errorf("a: %w", tree{nil, custom{is: func(error) bool { panic("I") }}}), "a: tree (of type *fmt.wrapError, whose methods fail: I)"},
		{"runtime.Goexit", custom{unwrap: func() error { runtime.Goexit(); return nil }}, "custom (of type usererror.custom, whose methods fail: it ended its goroutine)"},
		{"a circle", circle{}, "circle (of type usererror.circle, whose methods fail: it wraps itself without end)"},
		{"a circle that branches", bush, "tree (of type usererror.tree, whose methods fail: it wraps itself without end)"},
		{"a panic with what panics", custom{text: func() string { panic((*failure)(nil)) }}, "an error of type usererror.custom, whose methods fail: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen, err := Look(tt.err, read)
			broken, ok := err.(*Broken) //nolint:errorlint // it has to be this one
			if !ok || !strings.HasPrefix(err.Error(), tt.want) || seen != (facts{}) {
				t.Fatalf("got %v, %+v, want %q", err, seen, tt.want)
			}
			if (len(broken.Stack) > 0) == strings.Contains(broken.Cause, "it ") {
				t.Errorf("the stack is %q", broken.Stack)
			}
			if again, _ := Look(err, read); again != (facts{}) {
				t.Error("what stands in for it is not sound")
			}
		})
	}
}

// A pass over all tenants may fail for each of them.
func TestManyErrorsInOneAreSound(t *testing.T) {
	all := make(tree, 400_000)
	for i := range all {
		all[i] = &failure{cause: context.Canceled}
	}
	if seen, err := Look(error(all), read); len(err.(tree)) != len(all) || !seen.cancelled { //nolint:errorlint // it has to be this one
		t.Errorf("got %v", seen)
	}
}

func TestTheTextOfAnError(t *testing.T) {
	for want, err := range map[string]error{
		"":    nil,
		"EOF": errors.New("EOF"),
		"an error of type *usererror.failure, whose methods fail: runtime error: invalid memory address or nil pointer dereference": (*failure)(nil),
		"an error of type usererror.custom that says nothing":                                                                       custom{text: func() string { return "" }},
	} {
		if got := Text(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

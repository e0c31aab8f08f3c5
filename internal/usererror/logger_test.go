package usererror_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/usererror"
)

// handlerOf is a handler each of whose methods does one thing.
type handlerOf struct{ do func(method string) }

func (h handlerOf) Enabled(context.Context, slog.Level) bool  { h.do("Enabled"); return true }
func (h handlerOf) Handle(context.Context, slog.Record) error { h.do("Handle"); return nil }
func (h handlerOf) WithAttrs([]slog.Attr) slog.Handler        { h.do("WithAttrs"); return h }
func (h handlerOf) WithGroup(string) slog.Handler             { h.do("WithGroup"); return h }

func TestX24ALoggerThatFailsEndsNothing(t *testing.T) {
	for name, fail := range map[string]func(){
		"panics":               func() { panic("no") },
		"panics with an error": func() { panic((*nothing)(nil)) },
		"ends its goroutine":   runtime.Goexit,
	} {
		for _, method := range []string{"Enabled", "Handle", "WithAttrs", "WithGroup"} {
			t.Run(name+" in "+method, func(t *testing.T) {
				failed := 0
				var called []string
				log := usererror.Logger(slog.New(handlerOf{func(is string) {
					called = append(called, is)
					if is == method {
						fail()
					}
				}}), func() { failed++ })
				log.With(slog.Int("a", 1)).WithGroup("g").Info("line")
				if failed != 1 || !slices.Contains(called, "Handle") {
					t.Errorf("failed %d times, called %v", failed, called)
				}
			})
		}
	}
	usererror.Logger(&slog.Logger{}, nil).Info("of the zero logger")
	usererror.Logger(nil, nil).Info("of none")
}

// TestALoggerThatWorksIsHandedEverything: the error of its handler too.
func TestALoggerThatWorksIsHandedEverything(t *testing.T) {
	failure := errors.New("full")
	h := usererror.Logger(slog.New(failing{failure}), func() { t.Error("it is said to have failed") }).Handler()
	if err := h.Handle(t.Context(), slog.Record{}); !errors.Is(err, failure) || h.Enabled(t.Context(), slog.LevelInfo) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (failing) Enabled(context.Context, slog.Level) bool    { return false }
func (f failing) Handle(context.Context, slog.Record) error { return f.err }
func (f failing) WithAttrs([]slog.Attr) slog.Handler        { return f }
func (f failing) WithGroup(string) slog.Handler             { return f }

type nothing struct{ text string }

func (n *nothing) Error() string { return n.text }

package activeset

import (
	"errors"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// longestName is how many bytes of a name that somebody made up are kept: of an event's id, its type, an epoch.
	longestName = 256
	// longestText is how many bytes are kept of what an error says.
	longestText = 2 << 10
)

// Failure is an error of a client, a feed or a context, which may be code of others whose methods do anything. Whoever
// hands it to the [Core] has looked at it once and written down what the Core has to know. The Core asks these
// fields and nothing else.
type Failure struct { //nolint:errname // it is read with its package, and says what is known of an error
	Text string
	Err  error // as it came; nil where only the text is kept

	Status           int           // of HTTP; zero when there is none
	Delay            time.Duration // for which the manager asked to be left alone; zero when it did not
	Hopeless         bool          // asking again is of no use until somebody changes something
	RefusesCondition bool          // the answer may be about the ETag of the request, and not about the request
	Ended            bool          // it is the end of a context
	Lost             string        // which kind of a lost link it is
	NoHeartbeat      bool          // heartbeats are missing
	EventID          string        // of an event that cannot be used
	EventType        tenant.EventType
}

// Error is what the error said.
func (f *Failure) Error() string { return f.Text }

// Unwrap returns the error as it came, for the user who is told of it.
func (f *Failure) Unwrap() error { return f.Err }

// HTTPStatus is that of the error, zero if it has none.
func (f *Failure) HTTPStatus() int { return f.Status }

// RetryDelay is that of the error, zero if it has none.
func (f *Failure) RetryDelay() time.Duration { return f.Delay }

// Known returns what is known of an error that has been looked at. Of one of our own it is nothing.
func Known(err error) Failure {
	if seen, ok := err.(*Failure); ok { //nolint:errorlint // what it wraps is not asked again
		return *seen
	}
	return Failure{}
}

// NewFailure asks the error what it says, and whether it is about an event. The error itself is not kept. One of others may panic
// in that: whoever calls has to be ready for it.
func NewFailure(err error) Failure {
	f := Failure{Text: Cut(err.Error())}
	if evt, ok := errors.AsType[*tenant.EventError](err); ok {
		f.EventID, f.EventType = cut(evt.EventID, longestName), tenant.EventType(cut(string(evt.EventType), longestName))
	}
	return f
}

// Cut returns the text, or as much of it as is kept of what an error says, in memory of its own.
func Cut(text string) string { return cut(text, longestText) }

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.Clone(strings.ToValidUTF8(text[:most], "")) + "…"
}

// NormalEnvironment is the form in which names of environments are compared. What cannot be a name stays what it is, but
// for its case, the white space around it, and what is too long.
func NormalEnvironment(name string) string {
	if normal, err := tenant.ParseEnvironment(name); err == nil {
		return normal
	}
	return cut(strings.ToLower(strings.TrimSpace(name)), longestName)
}

// text is what an error says that was looked at when it entered.
func text(err error, otherwise string) string {
	if err == nil {
		return otherwise
	}
	return err.Error()
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// errorPatience is how long standard error may take for a line: nobody is held up by a reader of that which is stuck.
const errorPatience = 5 * time.Second

// printer writes whole lines, from any goroutine. The error of a write is for whoever prints on standard output; when
// standard error is gone there is nobody left to tell.
type printer struct {
	w io.Writer
	// patience is how long a write may take; after that it is left behind, and those that follow fail until it has ended.
	// Zero is for ever.
	patience time.Duration

	mu    sync.Mutex    // guards w, and stuck
	stuck chan struct{} // closed at the end of a write that was left behind
}

// Write writes p in one piece.
func (p *printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.write(b)
	if err != nil {
		err = fmt.Errorf("%w: %w", process.ErrOutput, err)
	}
	return n, err
}

func (p *printer) write(b []byte) (int, error) {
	if p.patience == 0 {
		return p.w.Write(b)
	}
	if p.stuck != nil {
		select {
		case <-p.stuck:
		default:
			return 0, process.ErrStuck
		}
	}
	var err error
	written := make(chan struct{})
	text := bytes.Clone(b) // it is ours when the write is left behind
	go func() {
		defer close(written)
		_, err = p.w.Write(text)
	}()
	late := time.NewTimer(p.patience)
	defer late.Stop()
	select {
	case <-written:
		p.stuck = nil
		return len(b), err
	case <-late.C:
		p.stuck = written
		return 0, process.ErrStuck
	}
}

func (p *printer) line(format string, args ...any) error {
	_, err := fmt.Fprintf(p, format+"\n", args...)
	return err
}

// object prints a line for programs: an object that says with "type" what it is and with "at" when that was, before the fields of v.
// v has neither of the two.
func (p *printer) object(kind string, at time.Time, v any) error {
	head, err := encode(struct {
		Type string    `json:"type"`
		At   time.Time `json:"at"`
	}{kind, at.UTC()})
	if err != nil {
		return err
	}
	fields, ready := v.(encoded)
	if !ready {
		if fields, err = encode(v); err != nil {
			return err
		}
	}
	head = bytes.TrimSuffix(head, []byte("}\n"))
	if fields = fields[1:]; fields[0] != '}' {
		head = append(head, ',')
	}
	_, err = p.Write(append(head, fields...))
	return err
}

// encoded is an object with its line end, for one that has to stay as it is.
type encoded []byte

// encode is an object in JSON, and a line end.
func encode(v any) (encoded, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encode the output: %w", err)
	}
	return line.Bytes(), nil
}

// result prints what came of a command: an object for programs, or a sentence for people, which goes to standard error so that
// standard output has nothing but what a script can take.
func (std streams) result(asJSON bool, kind string, object any, format string, args ...any) error {
	if asJSON {
		return std.out.object(kind, time.Now(), object)
	}
	_ = std.err.line(format, args...)
	return nil
}

// logger returns a logger to w, or nil, which is silent, unless verbose.
func logger(verbose, asJSON bool, w io.Writer) *slog.Logger {
	if !verbose {
		return nil
	}
	return newLogger(slog.LevelDebug, asJSON, w)
}

// newLogger returns a logger to w. For programs a line is an object as all are, of the type log.
func newLogger(level slog.Level, asJSON bool, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if !asJSON {
		return slog.New(slog.NewTextHandler(w, options))
	}
	options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
			return slog.Time("at", a.Value.Time().UTC())
		}
		return a
	}
	return slog.New(slog.NewJSONHandler(w, options)).With(slog.String("type", "log"))
}

// table lines up changes for people. Its column of ids grows with the longest one seen.
type table struct {
	width int
}

// row returns the line of a change, without its end. extra goes into a last column.
func (t *table) row(change tenant.Change, extra string) string {
	t.width = max(t.width, len(change.TenantID))
	line := fmt.Sprintf("%s  %s  %-*s  ", process.Clock(change.At), sign(change.Kind), t.width, change.TenantID)
	if extra == "" {
		return line + why(change)
	}
	return line + fmt.Sprintf("%-28s %9s", why(change), extra)
}

// why is the type of the event behind a change or, without one, its cause.
func why(change tenant.Change) string {
	return cmp.Or(string(change.EventType), string(change.Cause))
}

func sign(kind tenant.Kind) string {
	switch kind {
	case tenant.Added:
		return "+"
	case tenant.Removed:
		return "-"
	case tenant.Reconfigured:
		return "~"
	default:
		return "?"
	}
}

// quietDriver stops the Redis driver from writing to standard error on its own. Its errors come back to us and are told
// with the state.
var quietDriver = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

// silent is a logger of the driver.
type silent struct{}

// Printf drops the line.
func (silent) Printf(context.Context, string, ...any) {}

// duration is a latency for people.
func duration(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.2f ms", milliseconds(d))
}

// milliseconds rounds to what people can tell apart.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond)) / float64(time.Millisecond)
}

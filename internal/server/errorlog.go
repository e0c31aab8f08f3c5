package server

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// noiseEvery is how often there is a line of each kind about what clients do to connections, which anybody can bring about
	// as often as they like. The next line, or one at the end of that time, says how many were left out.
	noiseEvery = 10 * time.Second
	// noiseBytes is how much of each is shown.
	noiseBytes = 300
)

// noiseKinds are what net/http says of connections, by how it begins; all else is one kind more.
var noiseKinds = []string{"http: TLS handshake error", "http: panic", "http: Accept error", "http: superfluous", "http2:", "http: "}

// noise is what net/http logs to, with few lines of each kind. As a slog.Handler it has no attributes.
type noise struct {
	log *slog.Logger

	mu    sync.Mutex // guards kinds
	kinds map[string]*noiseKind
}

type noiseKind struct {
	left  int    // out since the last line
	last  string // of those that were
	timer *time.Timer
}

func newNoise(log *slog.Logger) *noise { return &noise{log: log, kinds: map[string]*noiseKind{}} }

// Enabled is always.
func (n *noise) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is never asked for.
func (n *noise) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup is never asked for.
func (n *noise) WithGroup(string) slog.Handler { return n }

// Handle takes a line.
func (n *noise) Handle(_ context.Context, r slog.Record) error {
	text := strings.ToValidUTF8(r.Message[:min(len(r.Message), noiseBytes)], "")
	name := kindOf(text)
	n.mu.Lock()
	defer n.mu.Unlock()
	if kind := n.kinds[name]; kind != nil {
		kind.left++
		kind.last = text
		return nil
	}
	n.kinds[name] = &noiseKind{timer: time.AfterFunc(noiseEvery, func() { n.sumUp(name) })}
	n.log.LogAttrs(context.Background(), slog.LevelWarn, text)
	return nil
}

// sumUp says how many there were besides, and goes on as long as there are any.
func (n *noise) sumUp(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	kind := n.kinds[name]
	if kind == nil { // closed
		return
	}
	if kind.left == 0 {
		delete(n.kinds, name)
		return
	}
	n.log.LogAttrs(context.Background(), slog.LevelWarn, kind.last,
		slog.Int("more_of_the_kind", kind.left-1), slog.String("within", noiseEvery.String()))
	kind.left = 0
	kind.timer.Reset(noiseEvery)
}

// close says what was not said yet.
func (n *noise) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, kind := range n.kinds {
		kind.timer.Stop()
		if kind.left > 0 {
			n.log.LogAttrs(context.Background(), slog.LevelWarn, kind.last, slog.Int("more_of_the_kind", kind.left-1))
		}
	}
	clear(n.kinds)
}

func kindOf(text string) string {
	for _, kind := range noiseKinds {
		if strings.HasPrefix(text, kind) {
			return kind
		}
	}
	return ""
}

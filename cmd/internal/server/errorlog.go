package server

import (
	"context"
	"log/slog"
	"strings"
)

// noiseBytes is how much is shown of what net/http says.
const noiseBytes = 300

// noiseKinds are what net/http says of connections, by how it begins; all else is one kind more.
var noiseKinds = []string{"http: TLS handshake error", "http: panic", "http: Accept error", "http: superfluous", "http2:", "http: "}

// noise is what net/http logs to, with a line of each kind in a while. As a slog.Handler it has no attributes.
type noise struct{ *lines }

func newNoise(log *slog.Logger) noise { return noise{newLines(log, 1)} }

// Enabled is always.
func (n noise) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs is never asked for.
func (n noise) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup is never asked for.
func (n noise) WithGroup(string) slog.Handler { return n }

// Handle takes a line.
func (n noise) Handle(ctx context.Context, r slog.Record) error {
	text := strings.ToValidUTF8(r.Message[:min(len(r.Message), noiseBytes)], "")
	n.say(ctx, kindOf(text), line{level: slog.LevelWarn, text: text})
	return nil
}

func kindOf(text string) string {
	for _, kind := range noiseKinds {
		if strings.HasPrefix(text, kind) {
			return kind
		}
	}
	return ""
}

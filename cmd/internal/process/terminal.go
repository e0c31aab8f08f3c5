package process

import (
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Terminal is what a table is painted on.
type Terminal struct {
	write func(text []byte) error
	size  func() (width, height int, err error)
}

// TerminalOf is the terminal that out is, which write writes on; false when that is none, or one that cannot do more than print.
func TerminalOf(out io.Writer, write func(text []byte) (int, error)) (Terminal, bool) {
	file, ok := out.(*os.File)
	if !ok || !IsTerminal(out) || os.Getenv("TERM") == "dumb" || !obeys(file) {
		return Terminal{}, false
	}
	return Terminal{
		write: func(text []byte) error { _, err := write(text); return err },
		size:  func() (width, height int, err error) { return term.GetSize(int(file.Fd())) },
	}, true
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// harmless is what a process has written without what a terminal would obey: escape sequences are left out, a tab is a
// blank, and what else cannot be seen is replaced.
func harmless(line []byte) string {
	var text strings.Builder
	for len(line) > 0 {
		if line[0] == '\x1b' {
			line = line[escapeLength(line):]
			continue
		}
		r, size := utf8.DecodeRune(line)
		line = line[size:]
		switch {
		case r == '\t':
			r = ' '
		case !unicode.IsGraphic(r):
			r = unicode.ReplacementChar
		}
		text.WriteRune(r)
	}
	return text.String()
}

// escapeLength is how many bytes the escape sequence has that line begins with.
func escapeLength(line []byte) int {
	if len(line) == 1 {
		return 1
	}
	switch line[1] {
	case '[': // up to a letter, or the like
		for i := 2; i < len(line); i++ {
			if line[i] < 0x20 || line[i] > 0x3f {
				return i + 1
			}
		}
		return len(line)
	case ']', 'P', 'X', '^', '_': // a text, up to a bell or ESC \
		for i := 2; i < len(line); i++ {
			if line[i] == '\a' {
				return i + 1
			}
			if line[i] == '\x1b' && i+1 < len(line) && line[i+1] == '\\' {
				return i + 2
			}
		}
		return len(line)
	default:
		i := 1
		for i < len(line)-1 && line[i] >= 0x20 && line[i] <= 0x2f {
			i++
		}
		return i + 1
	}
}

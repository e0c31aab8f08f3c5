package main

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/tenantwatch/tenantwatch/managerapi"
)

// listing prints rows, page by page: as one object a line for programs, or in columns for people.
type listing struct {
	session *session
	noun    string // of one row
	header  []string
	printed int
}

// page prints some rows. cells is asked only for people.
func page[T any](l *listing, rows []T, cells func(T) []string) error {
	l.printed += len(rows)
	if l.session.asJSON {
		for _, row := range rows {
			if err := l.session.out.object(strings.ReplaceAll(l.noun, " ", "_"), time.Now(), row); err != nil {
				return err
			}
		}
		return nil
	}
	if len(rows) == 0 {
		return nil
	}
	lines := make([][]string, 0, len(rows)+1)
	if l.printed == len(rows) {
		lines = append(lines, l.header)
	}
	for _, row := range rows {
		lines = append(lines, cells(row))
	}
	return columns(l.session.out, lines)
}

// end says when there was nothing.
func (l *listing) end() error {
	if l.printed == 0 && !l.session.asJSON {
		_ = l.session.err.line("no %ss", l.noun)
	}
	return nil
}

// columns prints lines with their cells below each other.
func columns(out *printer, lines [][]string) error {
	var text bytes.Buffer
	aligned := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, cells := range lines {
		for i, cell := range cells {
			cells[i] = shown(cell)
		}
		if _, err := fmt.Fprintln(aligned, strings.TrimRight(strings.Join(cells, "\t"), "\t")); err != nil {
			return fmt.Errorf("line up the output: %w", err)
		}
	}
	if err := aligned.Flush(); err != nil {
		return fmt.Errorf("line up the output: %w", err)
	}
	_, err := out.Write(text.Bytes())
	return err
}

// shown is text that others have chosen, without what a terminal would obey. An empty cell is a dash.
func shown(text string) string {
	if text == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// day is a time in a list, to the minute and in UTC; a dash if there is none.
func day(t managerapi.Timestamp) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// moment is a time in a list, to the millisecond and in UTC.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000Z")
}

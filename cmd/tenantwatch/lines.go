package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/worker"
)

// lines is the display that prints a line for everything.
type lines struct {
	outlet     *outlet
	asJSON     bool
	onTerminal bool
	told       func(context.Context, discovery.Status)
	width      atomic.Int64 // of the longest id seen
}

func newLines(std streams, asJSON bool) *lines {
	l := &lines{
		asJSON:     asJSON,
		onTerminal: isTerminal(std.out) || isTerminal(std.err),
		told:       tellStatus(std.err, asJSON),
	}
	notice := func(lines int) []byte { return (&lineVoice{lines: l}).format(event{Type: eventDropped, Lines: lines}) }
	l.outlet = newOutlet(std.out, std.err, notice, func(text string) { _ = std.err.line("%s  %s", clock(time.Now()), text) })
	return l
}

func (l *lines) states(ctx context.Context, s discovery.Status) { l.told(ctx, s) }

// during prints until body returns and what there is to print is printed. A write that does not come to an end is left behind.
func (l *lines) during(_ func() worker.Status, failed func(error), body func() error) error {
	var err error
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		if err = l.outlet.run(); err != nil {
			failed(err)
		}
	}()
	result := body()
	l.outlet.close()
	lost := l.outlet.await(printed)
	select {
	case <-printed:
		return cmp.Or(err, result, lost)
	default:
		return cmp.Or(result, lost)
	}
}

func (l *lines) voice(tenantID string) voice {
	v := &lineVoice{lines: l, tenantID: tenantID}
	v.queue.outlet = l.outlet
	v.queue.notice = func(n int) []byte { return v.format(event{Type: eventDropped, Lines: n}) }
	for width := l.width.Load(); width < int64(len(tenantID)); width = l.width.Load() {
		if l.width.CompareAndSwap(width, int64(len(tenantID))) {
			break
		}
	}
	return v
}

// lineVoice tells of one process by lines.
type lineVoice struct {
	lines    *lines
	tenantID string
	queue    queue
}

func (v *lineVoice) event(e event) { v.queue.add(standardOutput, v.format(e)) }

func (v *lineVoice) format(e event) []byte {
	e.At, e.TenantID = time.Now().UTC(), v.tenantID
	if v.lines.asJSON {
		return object(e)
	}
	text := strings.ReplaceAll(e.Type, "_", " ")
	switch {
	case e.Type == eventStarted:
		text += fmt.Sprintf(" (pid %d)", e.PID)
	case e.Lines > 0:
		text += " " + count(e.Lines, "line") + ", which nobody took"
	case e.Reason != "":
		text += ": " + shown(e.Reason)
	}
	return fmt.Appendf(nil, "%s  %-*s  %s\n", clock(e.At), v.lines.width.Load(), shown(v.tenantID), text)
}

func (v *lineVoice) read(from stream, r io.Reader) {
	drain(r, func(line []byte, whole bool) { v.output(from, line, whole) })
}

// output waits while others have to be written, unless they are not.
func (v *lineVoice) output(from stream, line []byte, whole bool) {
	if v.lines.asJSON {
		v.queue.addOrDrop(standardOutput, object(outputLine{
			Type: "output", At: time.Now().UTC(), TenantID: v.tenantID, Stream: from.String(), Line: string(line), Partial: !whole,
		}))
		return
	}
	if v.lines.onTerminal {
		line = []byte(harmless(line))
	}
	v.queue.addOrDrop(from, fmt.Appendf(nil, "%-*s | %s\n", v.lines.width.Load(), shown(v.tenantID), line))
}

// object is a line for programs. What it is called with can be encoded.
func object(v any) []byte {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	return line.Bytes()
}

package process

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// Lines is the display that prints a line for everything.
type Lines struct {
	outlet     *outlet
	asJSON     bool
	onTerminal bool
	width      atomic.Int64 // of the longest id seen
}

// NewLines returns a display that writes to out and, what a process has written there, to errs. Beside a terminal nothing of what a
// process writes may be obeyed by one. tell is told what is the matter with out.
func NewLines(out, errs io.Writer, asJSON, onTerminal bool, tell func(text string)) *Lines {
	l := &Lines{asJSON: asJSON, onTerminal: onTerminal}
	notice := func(lines int) []byte { return (&lineVoice{lines: l}).format(Event{Type: EventDropped, Lines: lines}) }
	l.outlet = newOutlet(out, errs, notice, tell)
	return l
}

// During prints until body returns and what there is to print is printed. A write that does not come to an end is left behind.
func (l *Lines) During(failed func(error), body func() error) error {
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

// Voice is where the next process of a tenant tells of itself.
func (l *Lines) Voice(tenantID string) Voice {
	v := &lineVoice{lines: l, tenantID: tenantID}
	v.queue.outlet = l.outlet
	v.queue.notice = func(n int) []byte { return v.format(Event{Type: EventDropped, Lines: n}) }
	for width := l.width.Load(); width < int64(len(tenantID)); width = l.width.Load() {
		if l.width.CompareAndSwap(width, int64(len(tenantID))) {
			break
		}
	}
	return v
}

// lineVoice tells of one process by lines.
type lineVoice struct {
	lines    *Lines
	tenantID string
	queue    queue
}

// Event queues a line.
func (v *lineVoice) Event(e Event) { v.queue.add(StandardOutput, v.format(e)) }

func (v *lineVoice) format(e Event) []byte {
	e.At, e.TenantID = time.Now().UTC(), v.tenantID
	if v.lines.asJSON {
		return object(e)
	}
	text := strings.ReplaceAll(e.Type, "_", " ")
	switch {
	case e.Type == EventStarted:
		text += fmt.Sprintf(" (pid %d)", e.PID)
	case e.Lines > 0:
		text += fmt.Sprintf(" %d %s, which nobody took", e.Lines, map[bool]string{true: "line", false: "lines"}[e.Lines == 1])
	case e.Reason != "":
		text += ": " + harmless([]byte(e.Reason))
	}
	return fmt.Appendf(nil, "%s  %-*s  %s\n", Clock(e.At), v.lines.width.Load(), harmless([]byte(v.tenantID)), text)
}

// Read queues what the process writes.
func (v *lineVoice) Read(from Stream, r io.Reader) {
	drain(r, func(line []byte, whole bool) { v.output(from, line, whole) })
}

// output waits while others have to be written, unless they are not.
func (v *lineVoice) output(from Stream, line []byte, whole bool) {
	if v.lines.asJSON {
		v.queue.addOrDrop(StandardOutput, object(outputLine{
			Type: "output", At: time.Now().UTC(), TenantID: v.tenantID, Stream: from.String(), Line: string(line), Partial: !whole,
		}))
		return
	}
	if v.lines.onTerminal {
		line = []byte(harmless(line))
	}
	v.queue.addOrDrop(from, fmt.Appendf(nil, "%-*s | %s\n", v.lines.width.Load(), harmless([]byte(v.tenantID)), line))
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

package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/worker"
)

const (
	// paintEvery is how often the table is painted at most.
	paintEvery = 250 * time.Millisecond
	// maxPaintShare is the share of the time that painting may take is one in so many.
	maxPaintShare = 10
	// maxTail is how much of the output of a process is kept, in bytes, to show its last line.
	maxTail = 512

	// What a terminal is told: to show another page, to hide the cursor, and to cut lines that are too long; and the reverse.
	openScreen  = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	closeScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	// To begin at the top, to clear what is right of the text, and what is below it.
	home, clearRight, clearBelow = "\x1b[H", "\x1b[K", "\x1b[J"
)

// board is the display that paints a table on a terminal.
type board struct {
	terminal terminal
	title    string
	told     func(context.Context, discovery.Status) // beside the table; nil for nobody
	began    time.Time

	mu     sync.Mutex // guards what follows
	state  discovery.Status
	voices map[string]*boardVoice
	totals map[string]int // events by type

	painting int // counts the paintings, from before the status is asked for
}

func newBoard(t terminal, title string, told func(context.Context, discovery.Status)) *board {
	return &board{terminal: t, title: title, told: told, began: time.Now(), voices: map[string]*boardVoice{}, totals: map[string]int{}}
}

func (b *board) states(ctx context.Context, s discovery.Status) {
	b.mu.Lock()
	b.state = s
	b.mu.Unlock()
	if b.told != nil {
		b.told(ctx, s)
	}
}

// during paints until body returns, gives the terminal back as it was, and says in a line how it went.
func (b *board) during(status func() worker.Status, failed func(error), body func() error) error {
	var err error
	over := make(chan struct{})
	var painting sync.WaitGroup
	painting.Go(func() {
		if err = b.paint(status, over); err != nil {
			failed(err)
		}
	})
	result := body()
	close(over)
	painting.Wait()
	if err == nil {
		err = b.terminal.write([]byte(b.summary() + "\n"))
	}
	return cmp.Or(err, result)
}

func (b *board) paint(status func() worker.Status, over <-chan struct{}) (err error) {
	if err := b.terminal.write([]byte(openScreen)); err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, b.terminal.write([]byte(closeScreen))) }()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-over:
			return nil
		case <-timer.C:
		}
		began := time.Now()
		if err := b.paintOnce(status); err != nil {
			return err
		}
		timer.Reset(max(paintEvery, maxPaintShare*time.Since(began)))
	}
}

// paintOnce asks for the size each time: a window that was made larger or smaller is right with the next painting.
func (b *board) paintOnce(status func() worker.Status) error {
	b.mu.Lock()
	b.painting++
	b.mu.Unlock()
	s := status()
	width, height, err := b.terminal.size()
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	p := picture{title: b.title, now: time.Now(), status: s, last: b.last(s), width: width, height: height}
	b.mu.Lock()
	p.state = b.state
	b.mu.Unlock()
	lines := p.lines()
	return b.terminal.write([]byte(home + strings.Join(lines, clearRight+"\r\n") + clearRight + clearBelow + home))
}

// last returns what finds a tenant's last line, and forgets the tenants that are not there any more. The status says nothing
// of a tenant whose process was started after it was asked for.
func (b *board) last(s worker.Status) func(tenantID string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.voices) > len(s.Tenants) {
		there := make(map[string]bool, len(s.Tenants))
		for _, t := range s.Tenants {
			there[t.TenantID] = true
		}
		maps.DeleteFunc(b.voices, func(id string, v *boardVoice) bool { return !there[id] && v.asked != b.painting })
	}
	return func(tenantID string) string {
		b.mu.Lock()
		v := b.voices[tenantID]
		b.mu.Unlock()
		if v == nil {
			return ""
		}
		return v.lastLine()
	}
}

func (b *board) summary() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	words := []string{fmt.Sprintf("in %s: started %s", time.Since(b.began).Round(time.Second), times(b.totals[eventStarted]))}
	for _, what := range []string{eventFailed, eventDone, eventGivenUp, eventKilled} {
		if n := b.totals[what]; n > 0 {
			words = append(words, strings.ReplaceAll(what, "_", " ")+" "+times(n))
		}
	}
	return strings.Join(words, ", ")
}

func (b *board) voice(tenantID string) voice {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.voices[tenantID]
	if v == nil { // else the last line stays until the next process says something
		v = &boardVoice{board: b}
		b.voices[tenantID] = v
	}
	v.asked = b.painting
	return v
}

// boardVoice keeps the last line of a tenant's processes.
type boardVoice struct {
	board *board
	asked int // the painting that was under way when a process was last given it; the board's lock guards it

	mu     sync.Mutex // guards what follows
	tails  [2][]byte  // the end of what was written to each stream
	newest stream     // where something was written last
}

func (v *boardVoice) event(e event) {
	v.board.mu.Lock()
	defer v.board.mu.Unlock()
	v.board.totals[e.Type]++
}

// read keeps the end of what there is, whatever it is. What can be seen of it is found out when it is painted.
func (v *boardVoice) read(from stream, r io.Reader) {
	v.keep(from, []byte("\n"))
	buffer := make([]byte, maxLine)
	for {
		n, err := r.Read(buffer)
		v.keep(from, buffer[:n])
		if err != nil {
			return
		}
	}
}

func (v *boardVoice) keep(from stream, text []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text = text[max(len(text)-maxTail, 0):]
	tail := v.tails[from]
	tail = append(tail[:0], tail[max(len(tail)+len(text)-maxTail, 0):]...)
	v.tails[from] = append(tail, text...)
	if len(bytes.TrimSpace(text)) > 0 {
		v.newest = from
	}
}

// lastLine is the last line on which something can be seen. One that was written over itself is many, and one that has not
// ended yet is one as well.
func (v *boardVoice) lastLine() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	isEnd := func(r rune) bool { return r == '\n' || r == '\r' }
	for _, line := range slices.Backward(bytes.FieldsFunc(v.tails[v.newest], isEnd)) {
		if text := strings.TrimSpace(harmless(line)); text != "" {
			return text
		}
	}
	return ""
}

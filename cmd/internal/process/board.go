package process

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

const (
	// maxTail is how much of the output of a process is kept, in bytes, to show its last line.
	maxTail = 512

	// What a terminal is told: to show another page, to hide the cursor, and to cut lines that are too long; and the reverse.
	openScreen  = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	closeScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	// To begin at the top, to clear what is right of the text, and what is below it.
	home, clearRight, clearBelow = "\x1b[H", "\x1b[K", "\x1b[J"
)

// Board is the display that paints a table on a terminal.
type Board struct {
	terminal Terminal
	title    string
	began    time.Time

	mu      sync.Mutex // guards what follows
	about   string     // the state, for the first line
	failure error      // of the first painting that failed
	voices  map[string]*boardVoice
	totals  map[string]int // events by type

	painting int // counts the paintings
}

// NewBoard returns one with a title. It paints when it is shown what there is.
func NewBoard(t Terminal, title string) *Board {
	return &Board{terminal: t, title: title, began: time.Now(), voices: map[string]*boardVoice{}, totals: map[string]int{}}
}

// About is told what goes before the counts in the first line.
func (b *Board) About(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.about = text
}

// During takes the terminal until body returns, gives it back as it was, and says in a line how it went.
func (b *Board) During(failed func(error), body func() error) error {
	err := b.terminal.write([]byte(openScreen))
	if err != nil {
		failed(err)
	}
	result := body()
	b.mu.Lock()
	err = cmp.Or(err, b.failure)
	b.mu.Unlock()
	err = cmp.Or(err, b.terminal.write([]byte(closeScreen)))
	if err == nil {
		err = b.terminal.write([]byte(b.summary() + "\n"))
	}
	return cmp.Or(err, result)
}

// Show paints what there is. Its error is of a terminal that takes nothing, which During returns too. It asks for the size each
// time: a window that was made larger or smaller is right with the next painting.
func (b *Board) Show(s worker.Status) error {
	b.mu.Lock()
	b.painting++
	about := b.about
	b.mu.Unlock()
	width, height, err := b.terminal.size()
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	p := picture{title: b.title, about: about, now: time.Now(), status: s, last: b.last(s), width: width, height: height}
	err = b.terminal.write([]byte(home + strings.Join(p.lines(), clearRight+"\r\n") + clearRight + clearBelow + home))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure = cmp.Or(b.failure, err)
	return err
}

// last returns what finds a tenant's last line, and forgets the tenants that are not there any more. The status says nothing
// of a tenant whose process was started after it was taken, so a voice stays for a painting more.
func (b *Board) last(s worker.Status) func(tenantID string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.voices) > len(s.Tenants) {
		there := make(map[string]bool, len(s.Tenants))
		for _, t := range s.Tenants {
			there[t.TenantID] = true
		}
		maps.DeleteFunc(b.voices, func(id string, v *boardVoice) bool { return !there[id] && v.asked < b.painting-1 })
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

func (b *Board) summary() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	words := []string{fmt.Sprintf("in %s: started %s", time.Since(b.began).Round(time.Second), times(b.totals[EventStarted]))}
	for _, what := range []string{EventFailed, EventDone, EventGivenUp, EventKilled} {
		if n := b.totals[what]; n > 0 {
			words = append(words, strings.ReplaceAll(what, "_", " ")+" "+times(n))
		}
	}
	return strings.Join(words, ", ")
}

// Voice is where the next process of a tenant tells of itself.
func (b *Board) Voice(tenantID string) Voice {
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
	board *Board
	asked int // how many paintings there had been when a process was last given it; the board's lock guards it

	mu     sync.Mutex // guards what follows
	tails  [2][]byte  // the end of what was written to each stream
	newest Stream     // where something was written last
}

// Event counts.
func (v *boardVoice) Event(e Event) {
	v.board.mu.Lock()
	defer v.board.mu.Unlock()
	v.board.totals[e.Type]++
}

// Read keeps the end of what there is, whatever it is. What can be seen of it is found out when it is painted.
func (v *boardVoice) Read(from Stream, r io.Reader) {
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

func (v *boardVoice) keep(from Stream, text []byte) {
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

// times is "once", or "3 times".
func times(n int) string { return cmp.Or(map[int]string{1: "once"}[n], fmt.Sprintf("%d times", n)) }

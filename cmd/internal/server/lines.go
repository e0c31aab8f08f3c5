package server

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// linesEvery is how long a while is in which there are few lines of each kind.
	linesEvery = 10 * time.Second
	// maxKinds is how many kinds are told apart at a time; those of all others are one kind together.
	maxKinds   = 1000
	otherKinds = "others"
)

// lines lets few lines of each kind into the log, of what clients can bring about as often as they like. At the end of a while a
// line says how many were left out, and as long as there are any, that is the only one.
type lines struct {
	log  *slog.Logger
	most int // of a kind in a while, before they are counted

	mu     sync.Mutex // guards what is below
	kinds  map[string]*kindOfLine
	closed bool // then each line is written at once, since nobody would be there for a count of them

	summing sync.WaitGroup // the counts that are being written; none is added once closed
}

type kindOfLine struct {
	said, left int
	last       line // of those that were left out
	timer      *time.Timer
}

type line struct {
	level slog.Level
	text  string
	attrs []slog.Attr
}

func newLines(log *slog.Logger, most int) *lines {
	return &lines{log: log, most: most, kinds: map[string]*kindOfLine{}}
}

// say writes the line, or counts it.
func (l *lines) say(ctx context.Context, kind string, one line) {
	if l.admits(kind, one) {
		l.log.LogAttrs(ctx, one.level, one.text, one.attrs...)
	}
}

func (l *lines) admits(kind string, one line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return true
	}
	if l.kinds[kind] == nil && len(l.kinds) >= maxKinds {
		kind = otherKinds
	}
	k := l.kinds[kind]
	if k == nil {
		k = &kindOfLine{timer: time.AfterFunc(linesEvery, func() { l.sumUp(kind) })}
		l.kinds[kind] = k
	}
	if k.said < l.most {
		k.said++
		return true
	}
	k.left++
	k.last = one
	return false
}

// sumUp says how many there were besides, and goes on as long as there are any.
func (l *lines) sumUp(kind string) {
	if one, more := l.sum(kind); more {
		defer l.summing.Done()
		l.log.LogAttrs(context.Background(), one.level, one.text, append(one.attrs, slog.String("within", linesEvery.String()))...)
	}
}

// sum adds to summing when there are more.
func (l *lines) sum(kind string) (one line, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.kinds[kind]
	if k == nil { // closed
		return line{}, false
	}
	if k.left == 0 {
		delete(l.kinds, kind)
		return line{}, false
	}
	one = k.summary()
	k.left = 0
	k.timer.Reset(linesEvery)
	l.summing.Add(1)
	return one, true
}

// summary is the last line, with a count of the others.
func (k *kindOfLine) summary() line {
	one := k.last
	one.attrs = append(slices.Clip(one.attrs), slog.Int("more_of_the_kind", k.left-1))
	return one
}

// close says what was not said yet. Afterwards no timer is left, and nothing is written but what say is called with.
func (l *lines) close() {
	defer l.summing.Wait()
	for _, one := range l.rest() {
		l.log.LogAttrs(context.Background(), one.level, one.text, one.attrs...)
	}
}

func (l *lines) rest() (out []line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, k := range l.kinds {
		k.timer.Stop()
		if k.left > 0 {
			out = append(out, k.summary())
		}
	}
	clear(l.kinds)
	return out
}

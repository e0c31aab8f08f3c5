package process

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/worker"
)

// The board says what was written last, even when the line is not ended or was overwritten.
func TestTheLastLine(t *testing.T) {
	b := NewBoard(Terminal{}, "")
	v, ok := b.Voice("t").(*boardVoice)
	if !ok {
		t.Fatal("another voice")
	}
	for _, step := range []struct {
		to         Stream
		text, want string
	}{
		{StandardOutput, "one\ntwo\n\n", "two"},
		{StandardOutput, "10 %\r20 %\r", "20 %"},
		{StandardOutput, "$ ", "$"},
		{StandardError, "\x1b[31mfailed\n", "failed"},
		{StandardError, "\n", "failed"},
		{StandardOutput, strings.Repeat("x", 3*maxTail) + "\nthe end", "the end"},
		{StandardOutput, strings.Repeat("y", 3*maxTail), strings.Repeat("y", maxTail)},
	} {
		v.Read(step.to, strings.NewReader(step.text))
		if got := v.lastLine(); got != step.want {
			t.Errorf("after %.20q: got %q, want %q", step.text, got, step.want)
		}
	}
	if size := cap(v.tails[0]); size > 4*maxTail {
		t.Errorf("%d bytes are kept", size)
	}
}

// The table follows the size of the window, and gives the terminal back as it was.
func TestTheBoardOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var painted []string
		var height atomic.Int64 // of the window, which is asked for where the table is painted
		height.Store(5)
		b := NewBoard(Terminal{
			write: func(text []byte) error { painted = append(painted, string(text)); return nil },
			size:  func() (width, h int, err error) { return 80, int(height.Load()), nil },
		}, "ledger")
		const tenants = 20
		s := statusOf(time.Now(), slices.Repeat([]worker.State{worker.Running}, tenants)...)
		err := b.During(func(err error) { t.Error(err) }, func() error {
			for range 100 {
				b.Voice("t0").Event(Event{Type: EventStarted})
			}
			time.Sleep(2 * time.Second)
			if err := b.Show(s); err != nil {
				return err
			}
			height.Store(40)
			time.Sleep(time.Second)
			if err := b.Show(s); err != nil {
				return err
			}
			return nil
		})
		if err != nil || len(painted) != 5 {
			t.Fatalf("written %d times, %v", len(painted), err)
		}
		last := len(painted) - 1
		if painted[0] != openScreen || painted[last-1] != closeScreen || !strings.HasPrefix(painted[last], "in 3s: started 100 times") {
			t.Errorf("it begins with %q and ends with %q", painted[0], painted[last-1:])
		}
		if small, large := painted[1], painted[last-2]; strings.Count(small, "\n") != 4 || strings.Count(large, "\n") != tenants+2 {
			t.Errorf("the small one is\n%q\nthe large one is\n%q", small, large)
		}
	})
}

// What is kept of tenants goes with them.
func TestTheBoardForgets(t *testing.T) {
	b := NewBoard(Terminal{}, "")
	for i := range 1000 {
		b.Voice(fmt.Sprint("t", i))
	}
	b.terminal.size = func() (width, height int, err error) { return 80, 24, nil }
	b.terminal.write = func([]byte) error { return nil }
	for range 2 { // one more than what is handed could know of
		if err := b.Show(statusOf(time.Now(), worker.Running, worker.Done)); err != nil {
			t.Error(err)
		}
	}
	if len(b.voices) != 2 {
		t.Errorf("%d are kept, want 2", len(b.voices))
	}
}

// A process is started after the status was taken that is painted: what it says shows all the same.
func TestX34WhatBeginsDuringAPaintingShows(t *testing.T) {
	var painted string
	b := NewBoard(Terminal{
		write: func(text []byte) error { painted = string(text); return nil },
		size:  func() (width, height int, err error) { return 80, 24, nil },
	}, "ledger")
	early := b.Voice("t0") // of one that goes, and comes again
	early.Read(StandardOutput, strings.NewReader("early\n"))
	for _, id := range []string{"t0", "t1"} {
		b.Voice(id).Read(StandardOutput, strings.NewReader("answered by "+id+"\n"))
	}
	for _, s := range []worker.Status{{}, statusOf(time.Now(), worker.Running, worker.Running)} {
		if err := b.Show(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"answered by t0", "answered by t1"} {
		if !strings.Contains(painted, want) {
			t.Errorf("no %q in\n%s", want, painted)
		}
	}
}

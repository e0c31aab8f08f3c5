package main

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
	b := newBoard(terminal{}, "", nil)
	v, ok := b.voice("t").(*boardVoice)
	if !ok {
		t.Fatal("another voice")
	}
	for _, step := range []struct {
		to         stream
		text, want string
	}{
		{standardOutput, "one\ntwo\n\n", "two"},
		{standardOutput, "10 %\r20 %\r", "20 %"},
		{standardOutput, "$ ", "$"},
		{standardError, "\x1b[31mfailed\n", "failed"},
		{standardError, "\n", "failed"},
		{standardOutput, strings.Repeat("x", 3*maxTail) + "\nthe end", "the end"},
		{standardOutput, strings.Repeat("y", 3*maxTail), strings.Repeat("y", maxTail)},
	} {
		v.read(step.to, strings.NewReader(step.text))
		if got := v.lastLine(); got != step.want {
			t.Errorf("after %.20q: got %q, want %q", step.text, got, step.want)
		}
	}
	if size := cap(v.tails[0]); size > 4*maxTail {
		t.Errorf("%d bytes are kept", size)
	}
}

// The table is painted a few times a second, follows the size of the window, and gives the terminal back as it was.
func TestTheBoardOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var painted []string
		var height atomic.Int64 // of the window, which is asked for where the table is painted
		height.Store(5)
		b := newBoard(terminal{
			write: func(text []byte) error { painted = append(painted, string(text)); return nil },
			size:  func() (width, h int, err error) { return 80, int(height.Load()), nil },
		}, "ledger", nil)
		const tenants = 20
		s := statusOf(time.Now(), slices.Repeat([]worker.State{worker.Running}, tenants)...)
		err := b.during(func() worker.Status { return s }, nil, func() error {
			for range 100 {
				b.voice("t0").event(event{Type: eventStarted})
			}
			time.Sleep(2*time.Second + paintEvery/2)
			height.Store(40)
			time.Sleep(time.Second)
			return nil
		})
		if err != nil || len(painted) < 4 || len(painted) > 20 {
			t.Fatalf("painted %d times in 3 s, %v", len(painted), err)
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
	b := newBoard(terminal{}, "", nil)
	for i := range 1000 {
		b.voice(fmt.Sprint("t", i))
	}
	b.terminal.size = func() (width, height int, err error) { return 80, 24, nil }
	b.terminal.write = func([]byte) error { return nil }
	status := func() worker.Status { return statusOf(time.Now(), worker.Running, worker.Done) }
	if err := b.paintOnce(status); err != nil || len(b.voices) != 2 {
		t.Errorf("%d are kept, want 2; %v", len(b.voices), err)
	}
}

// A process is started while the table is painted, after the status was asked for: what it says shows all the same.
func TestX34WhatBeginsDuringAPaintingShows(t *testing.T) {
	var painted string
	b := newBoard(terminal{
		write: func(text []byte) error { painted = string(text); return nil },
		size:  func() (width, height int, err error) { return 80, 24, nil },
	}, "ledger", nil)
	early := b.voice("t0") // of one that goes, and comes again during the painting
	early.read(standardOutput, strings.NewReader("early\n"))
	for _, status := range []func() worker.Status{
		func() worker.Status {
			for _, id := range []string{"t0", "t1"} {
				b.voice(id).read(standardOutput, strings.NewReader("answered by "+id+"\n"))
			}
			return worker.Status{}
		},
		func() worker.Status { return statusOf(time.Now(), worker.Running, worker.Running) },
	} {
		if err := b.paintOnce(status); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"answered by t0", "answered by t1"} {
		if !strings.Contains(painted, want) {
			t.Errorf("no %q in\n%s", want, painted)
		}
	}
}

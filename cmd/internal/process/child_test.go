package process

import (
	"io"
	"os"
	"testing"
)

// A process that has left the group with our pipe in its hands is not waited for.
func TestWhoLeavesTheGroupIsNotWaitedFor(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = write.Close() }() // as if somebody else still had it
	keeper := NewKeeper()
	defer keeper.Close()
	c, err := Start(t.Context(), keeper, os.Args[0], []string{"-test.run=^$"}, os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.pipes[0].Close()
	c.pipes[0] = read
	c.Run(t.Context(), 0, nil, NewLines(io.Discard, io.Discard, false, false, func(string) {}).Voice("t"))
	if !c.HasEnded() || c.State() == nil {
		t.Error("it has not ended")
	}
}

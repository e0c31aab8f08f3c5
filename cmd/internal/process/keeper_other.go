//go:build !linux

package process

import (
	"context"
	"fmt"
	"time"
)

// lookEvery is how often it is looked whether the last of a group that was asked to end is gone.
const lookEvery = 100 * time.Millisecond

// Keeper waits for processes, for each on a thread of its own.
type Keeper struct{}

// NewKeeper returns a keeper.
func NewKeeper() *Keeper { return &Keeper{} }

// Close does nothing.
func (*Keeper) Close() {}

// start starts the process of c.
func (*Keeper) start(ctx context.Context, c *Child) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	var err error
	if c.group, err = groupOf(c.cmd); err != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait() // what it says is that it was killed
		return fmt.Errorf("make a group for the process: %w", err)
	}
	go func() {
		defer close(c.exited)
		c.err = c.cmd.Wait()
	}()
	return nil
}

// watch returns a channel that is closed once the process and all of its group have ended. stop ends the watching.
func (*Keeper) watch(c *Child) (gone <-chan struct{}, stop func()) {
	all, quit := make(chan struct{}), make(chan struct{})
	go func() {
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		select {
		case <-c.exited:
		case <-quit:
			return
		}
		for !c.group.empty() {
			select {
			case <-look.C:
			case <-quit:
				return
			}
		}
		close(all)
	}()
	return all, func() { close(quit) }
}

// reap lets go of a process that has ended.
func (*Keeper) reap(c *Child) { c.group.close() }

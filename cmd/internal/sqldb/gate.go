package sqldb

import (
	"context"
	"sync"
)

// gate lets everybody pass unless it is shut. The zero gate is open.
type gate struct {
	mu     sync.Mutex // guards what is below
	inside int
	opened chan struct{} // closed when the gate opens; nil while it is open
	left   chan struct{} // closed when nobody is inside; nil while nobody waits for that
}

// enter waits until the gate is open, or ctx ends. leave has to be called once.
func (g *gate) enter(ctx context.Context) (leave func(), err error) {
	for {
		g.mu.Lock()
		opened := g.opened
		if opened == nil {
			g.inside++
			g.mu.Unlock()
			return g.leave, nil
		}
		g.mu.Unlock()
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.left != nil {
		close(g.left)
		g.left = nil
	}
}

// shut lets nobody in any more, and waits until nobody is inside. If ctx ends before that the gate is open again, and it
// returns ctx's error. It is for one caller at a time.
func (g *gate) shut(ctx context.Context) (open func(), err error) {
	g.mu.Lock()
	left := make(chan struct{})
	if g.inside == 0 {
		close(left)
	} else {
		g.left = left
	}
	g.opened = make(chan struct{})
	g.mu.Unlock()
	select {
	case <-left:
		return g.open, nil
	case <-ctx.Done():
		g.open()
		return nil, ctx.Err()
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.opened)
	g.opened, g.left = nil, nil
}

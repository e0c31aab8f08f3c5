package testserver

import (
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// link is one connection through a [Proxy].
type link struct {
	proxy  *Proxy
	client *net.TCPConn
	mute   atomic.Bool // swallows everything from now on
	over   atomic.Bool // the client was sent a FIN: what it still sends is swallowed

	once sync.Once
	done chan struct{} // closed when the client is gone or the link was told to end
}

// enter does what a new mode asks of a connection at once; the pumps do the rest. The proxy's lock is held, so nothing
// in here waits.
func (l *link) enter(mode Mode) {
	switch mode {
	case Close:
		l.finish()
	case Reset:
		_ = l.client.SetLinger(0)
		l.end()
	case Mute:
		l.mute.Store(true)
	default:
	}
}

// finish sends the client a FIN. To close the connection instead could send an RST, if the client had sent anything
// that was not read yet.
func (l *link) finish() {
	l.over.Store(true)
	_ = l.client.CloseWrite()
}

func (l *link) end() {
	l.once.Do(func() {
		_ = l.client.Close() // before done: a pump that wakes up would send a FIN ahead of an RST
		close(l.done)
	})
}

// run serves the link until the client is gone. It owns the goroutines of the link.
func (l *link) run(refused bool) {
	var pumps sync.WaitGroup
	defer pumps.Wait()
	defer l.end()
	upstream := make(chan []byte, heldChunks)
	pumps.Go(func() { l.serve(refused, upstream) })
	for {
		buf := make([]byte, bufferSize)
		n, err := l.client.Read(buf)
		if err != nil {
			return
		}
		if l.over.Load() || l.mute.Load() {
			continue
		}
		select {
		case upstream <- buf[:n]:
		case <-l.done:
			return
		}
	}
}

// serve connects to the server and pumps both ways, until the link ends.
func (l *link) serve(refused bool, upstream <-chan []byte) {
	if refused {
		l.finish()
	}
	if l.over.Load() || l.mute.Load() {
		return
	}
	server, err := net.DialTimeout("tcp", l.proxy.leadsTo(), dialTimeout)
	if err != nil {
		l.finish()
		return
	}
	var down sync.WaitGroup
	defer down.Wait()
	defer func() { _ = server.Close() }()
	down.Go(func() {
		l.downstream(server)
		l.finish()
	})
	l.upstream(server, upstream)
}

func (l *link) upstream(server io.Writer, chunks <-chan []byte) {
	for {
		select {
		case <-l.done:
			return
		case chunk := <-chunks:
			if !l.waitWhileSilent() {
				return
			}
			if l.mute.Load() {
				continue
			}
			if _, err := server.Write(chunk); err != nil {
				<-l.done // the other pump has seen it too, and has told the client
				return
			}
		}
	}
}

func (l *link) downstream(server io.Reader) {
	buf := make([]byte, bufferSize)
	var cut cutter
	for {
		n, err := server.Read(buf)
		if err != nil || !l.forward(buf[:n], &cut) {
			return
		}
	}
}

// forward hands data to the client in the way that the mode asks for. The mode is looked at again after every piece.
// False means that the link is at its end.
func (l *link) forward(data []byte, cut *cutter) bool {
	for len(data) > 0 {
		if !l.waitWhileSilent() {
			return false
		}
		mode, changed := l.proxy.now()
		n := len(data)
		switch {
		case l.mute.Load():
			return true
		case mode == Trickle || mode == SplitBytes:
			n = 1
		case mode >= cutAfter:
			if n = min(n, cut.left(mode, changed)); n == 0 {
				return false
			}
		}
		if _, err := l.client.Write(data[:n]); err != nil {
			return false
		}
		data = data[n:]
		cut.passed += n
		l.pace(mode, changed)
	}
	mode, changed := l.proxy.now()
	return mode < cutAfter || cut.left(mode, changed) > 0
}

func (l *link) pace(mode Mode, changed <-chan struct{}) {
	switch mode {
	case Trickle:
		select {
		case <-time.After(trickleEvery):
		case <-changed:
		case <-l.done:
		}
	case SplitBytes:
		runtime.Gosched() // lets the reader have this byte before the next
	default:
	}
}

// waitWhileSilent holds up a pump as long as the mode is Silence. It is false when the link has ended.
func (l *link) waitWhileSilent() bool {
	for {
		mode, changed := l.proxy.now()
		if mode != Silence {
			return true
		}
		select {
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

// cutter counts what passed since CutAfter was set.
type cutter struct {
	since  <-chan struct{} // identifies the setting that is counted for
	passed int
}

func (c *cutter) left(mode Mode, setting <-chan struct{}) int {
	if c.since != setting {
		c.since, c.passed = setting, 0
	}
	return max(0, int(mode-cutAfter)-c.passed)
}

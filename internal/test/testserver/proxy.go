package testserver

import (
	"net"
	"sync"
	"testing"
	"time"
)

// Mode says how a [Proxy] treats its connections.
type Mode int

// The modes of a [Proxy]. Downstream is the way from the server to the client.
const (
	// Pass forwards everything. A proxy begins with it.
	Pass Mode = iota
	// Close ends every connection, old and new, with a FIN.
	Close
	// Reset ends every connection, old and new, with an RST.
	Reset
	// Silence keeps connections open and lets nothing pass, either way. What was held passes in a later mode.
	Silence
	// Trickle forwards one byte a second downstream.
	Trickle
	// Mute swallows everything, and accepts new connections without connecting to the server. A connection that was
	// silenced once stays so.
	Mute
	// SplitBytes forwards each byte downstream by a write of its own.
	SplitBytes
	// Refuse accepts new connections and closes them at once. Old ones pass.
	Refuse

	cutAfter
)

// CutAfter is the [Mode] that closes a connection once n bytes have passed downstream. An old connection counts from
// when the mode was set.
func CutAfter(n int) Mode { return cutAfter + Mode(n) }

const (
	dialTimeout  = 5 * time.Second
	trickleEvery = time.Second
	bufferSize   = 32 << 10
	heldChunks   = 1024
)

// Proxy is a TCP proxy in the test process. Its methods may be called from any goroutine.
type Proxy struct {
	listener net.Listener
	work     sync.WaitGroup // the accepting goroutine and one for every link

	mu       sync.Mutex // guards what follows
	target   string
	mode     Mode
	changed  chan struct{} // closed when mode changes
	links    map[*link]struct{}
	accepted int
	closed   bool
}

// NewProxy starts a proxy in front of target, a "host:port". It connects to target only when a client connects.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start the proxy: %v", err)
	}
	p := &Proxy{target: target, listener: listener, changed: make(chan struct{}), links: make(map[*link]struct{})}
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns the "host:port" that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Host returns the host of Addr.
func (p *Proxy) Host() string {
	host, _, _ := net.SplitHostPort(p.Addr())
	return host
}

// Port returns the port of Addr.
func (p *Proxy) Port() string {
	_, port, _ := net.SplitHostPort(p.Addr())
	return port
}

// Conns returns how many connections are open on the client's side.
func (p *Proxy) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Accepted returns how many connections were ever accepted.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Set changes the mode, for the connections that are open too.
func (p *Proxy) Set(mode Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	close(p.changed)
	p.changed = make(chan struct{})
	for l := range p.links {
		l.enter(mode)
	}
}

// SetTarget has new connections lead to another server, as a name does after a failover. Old ones stay with theirs.
func (p *Proxy) SetTarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *Proxy) leadsTo() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		client, ok := conn.(*net.TCPConn)
		if !ok || !p.add(client) {
			_ = conn.Close()
		}
	}
}

func (p *Proxy) add(client *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	l := &link{proxy: p, client: client, done: make(chan struct{})}
	p.accepted++
	p.links[l] = struct{}{}
	l.enter(p.mode)
	refused := p.mode == Refuse
	p.work.Go(func() {
		l.run(refused)
		p.remove(l)
	})
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// now returns the mode and a channel that is closed when it changes.
func (p *Proxy) now() (Mode, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.changed
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.end()
	}
	p.mu.Unlock()
	p.work.Wait()
}

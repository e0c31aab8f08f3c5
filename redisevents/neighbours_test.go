package redisevents

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// places are servers by their addresses, in a bubble: what each does to a dial, and when each was dialled. It begins with the
// first: until then nobody is asked.
type places struct {
	does  func(addr string, at time.Duration) place
	began time.Time

	mu    sync.Mutex
	dials map[string][]time.Duration
}

type place int

const (
	refuses place = iota
	drops         // every packet, as an address does that nobody has any more
	stopped       // takes the connection and says nothing, as a process that was stopped
)

func (p *places) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	at := time.Since(p.began)
	p.mu.Lock()
	if p.dials == nil {
		p.dials = map[string][]time.Duration{}
	}
	p.dials[addr] = append(p.dials[addr], at)
	p.mu.Unlock()
	switch p.does(addr, at) {
	case drops:
		<-ctx.Done()
		return nil, ctx.Err()
	case stopped:
		client, server := net.Pipe()
		go func() {
			buffer := make([]byte, 1024)
			for {
				if _, err := server.Read(buffer); err != nil {
					return
				}
			}
		}()
		return client, nil
	default:
		return nil, errors.New("refused")
	}
}

// dialled returns when an address was, after from and before to.
func (p *places) dialled(addr string, from, to time.Duration) (at []time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, each := range p.dials[addr] {
		if from <= each && each < to {
			at = append(at, each)
		}
	}
	return at
}

// remembering has a feed know neighbours.
func remembering(s *source, addrs ...string) {
	var slot redis.ClusterSlot
	for _, addr := range addrs {
		slot.Nodes = append(slot.Nodes, redis.ClusterNode{Addr: addr})
	}
	s.near.note([]redis.ClusterSlot{slot})
}

// TestX10ANodeThatAnswersNothing is left for its neighbours by the reader of a stream and by what listens to heartbeats for it,
// each at its second attempt: they do not take the turn from each other.
func TestX10ANodeThatAnswersNothing(t *testing.T) {
	const given, near = "given:6379", "near:6379"
	synctest.Test(t, func(t *testing.T) {
		feed, err := NewStream(Config{Host: "given", Cluster: true}, environment)
		if err != nil {
			t.Fatal(err)
		}
		servers := &places{began: time.Now(), does: func(string, time.Duration) place { return stopped }}
		feed.dial = servers.dial
		remembering(&feed.source, near)
		stop := listen(t, feed, func(tenant.Signal) {})
		time.Sleep(time.Minute)
		stop()
		for i, addr := range []string{given, near, given, near} {
			from := time.Duration(i) * defaultSilenceLimit
			if at := servers.dialled(addr, from, from+4*time.Second); len(at) != 2 {
				t.Errorf("%s was dialled at %v, want both between %s and %s", addr, servers.dials[addr], from, from+4*time.Second)
			}
		}
	})
}

// TestX10NeighboursThatAreGone, all of them, their packets dropped, hold up nobody: the address that was given is connected to
// soon after it is back. One of them that is there is found beside them, even where the address that was given drops packets.
func TestX10NeighboursThatAreGone(t *testing.T) {
	const given, alive = "given:6379", "alive:6379"
	gone := []string{"a:1", "b:1", "c:1", "d:1", "e:1", "f:1"}
	for name, tt := range map[string]struct {
		near  []string
		does  map[string]place
		dials string // in each span
		span  time.Duration
	}{
		"the given one refuses":         {gone, map[string]place{given: refuses}, given, 4 * time.Second},
		"one is alive":                  {append(gone, alive), map[string]place{given: refuses, alive: stopped}, alive, 2 * defaultSilenceLimit},
		"one is alive, the given drops": {append(gone, alive), map[string]place{given: drops, alive: stopped}, alive, 2*defaultSilenceLimit + 2*dialTimeout},
		"the given one answers nothing": {gone, map[string]place{given: stopped}, given, defaultSilenceLimit + 6*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, open := range map[string]func() (tenant.Feed, *source){
				"channels": func() (tenant.Feed, *source) {
					feed, err := NewPubSub(Config{Host: "given"}, environment)
					return feed, sourceOf(t, &feed.source, err)
				},
				"stream": func() (tenant.Feed, *source) {
					feed, err := NewStream(Config{Host: "given", Cluster: true, NoHeartbeats: true}, environment)
					return feed, sourceOf(t, &feed.source, err)
				},
			} {
				synctest.Test(t, func(t *testing.T) {
					feed, from := open()
					servers := &places{began: time.Now(), does: func(addr string, _ time.Duration) place {
						if does, known := tt.does[addr]; known {
							return does
						}
						return drops
					}}
					from.dial = servers.dial
					remembering(from, tt.near...)
					stop := listen(t, feed, func(tenant.Signal) {})
					time.Sleep(time.Minute)
					stop()
					for at := time.Duration(0); at+tt.span < time.Minute; at += tt.span {
						if len(servers.dialled(tt.dials, at, at+tt.span)) == 0 {
							t.Errorf("%s: %s was not dialled between %s and %s, but at %v", kind, tt.dials, at, at+tt.span, servers.dials[tt.dials])
						}
					}
				})
			}
		})
	}
}

func sourceOf(t *testing.T, s *source, err error) *source {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s.backoff.patience = time.Hour // which ends the short waits
	return s
}

// TestX10ADialAfterTheEndIsAnError, and no connection that is none.
func TestX10ADialAfterTheEndIsAnError(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, routes := range map[string][]route{
		"one": {{addrs: []string{"given:1"}}}, "neighbours": {{addrs: []string{"a:1", "b:1"}, limit: nearLimit}, {addrs: []string{"given:1"}}}, "none": {{}},
	} {
		d := &dialer{plain: (&net.Dialer{}).DialContext}
		if conn, err := d.connectAny(ended, "tcp", routes); conn != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, %v", name, conn, err)
		}
	}
}

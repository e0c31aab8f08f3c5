package redisevents

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/edges"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// operations are the columns: each returns a function that does it once more and returns what came of it. That of a feed
// waits for the next subscription or loss.
var operations = map[string]func(t *testing.T, cfg Config) (again func(t *testing.T) error){
	"PubSub.Run": func(t *testing.T, cfg Config) func(*testing.T) error {
		return running(t, newFeed(t, cfg, environment))
	},
	"Stream.Run": func(t *testing.T, cfg Config) func(*testing.T) error {
		return running(t, newStream(t, cfg, environment))
	},
	"Publisher.Publish":     calling(func(ctx context.Context, p *Publisher) error { return p.Publish(ctx, of("a", "1")) }),
	"Publisher.PublishAll":  publishingAll((*Publisher).PublishAll),
	"Publisher.AnnounceAll": publishingAll((*Publisher).AnnounceAll),
	"Publisher.AppendAll":   publishingAll((*Publisher).AppendAll),
	"Publisher.Heartbeat": calling(func(ctx context.Context, p *Publisher) error {
		return p.Heartbeat(ctx, environment, tenant.Version{Epoch: "e", Revision: 1})
	}),
}

func isFeed(operation string) bool { return strings.HasSuffix(operation, ".Run") }

func running(t *testing.T, feed tenant.Feed) func(*testing.T) error {
	t.Helper()
	var got recorder
	listen(t, feed, got.sink)
	seen := 0
	return func(t *testing.T) (err error) {
		t.Helper()
		eventually(t, "a subscription or a loss", func() bool {
			all := got.all()
			for ; seen < len(all); seen++ {
				if kind := all[seen].Kind; kind == tenant.SignalSubscribed || kind == tenant.SignalLost {
					err = all[seen].Err
					seen++
					return true
				}
			}
			return false
		})
		return err
	}
}

func calling(call func(ctx context.Context, p *Publisher) error) func(*testing.T, Config) func(*testing.T) error {
	return func(t *testing.T, cfg Config) func(*testing.T) error {
		t.Helper()
		publisher := newStreamPublisher(t, cfg)
		return func(t *testing.T) error {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 2*cfg.SilenceLimit)
			defer cancel()
			return call(ctx, publisher)
		}
	}
}

func publishingAll(call func(p *Publisher, ctx context.Context, events [][]byte) []error) func(*testing.T, Config) func(*testing.T) error {
	return calling(func(ctx context.Context, p *Publisher) error {
		data, _ := encode(of("a", "1"))
		return call(p, ctx, [][]byte{data})[0]
	})
}

// edge is one fault: what stands behind the proxy, or what the proxy does, and what has to come out of it.
type edge struct {
	begin func(t *testing.T, p *testserver.Proxy)
	want  func(operation string, err error) bool
	long  string
	limit time.Duration             // of silence; zero is calm
	ends  func(p *testserver.Proxy) // before the address leads to a server that is well; nil is that nothing has to end
}

// calm is the limit where something is answered, which a busy machine may be late with.
const calm = 5 * time.Second

// clusters are those behind a proxy.
var clusters sync.Map

// behindReplica has the address lead to the replica of a Cluster.
func behindReplica(t *testing.T, p *testserver.Proxy) {
	t.Helper()
	cluster := testserver.StartCluster(t)
	p.SetTarget(cluster.AddReplica(t).Addr())
	clusters.Store(p, cluster)
}

// endCluster ends one whose nodes are known by now, and would be talked to wherever the address leads.
func endCluster(p *testserver.Proxy) {
	found, _ := clusters.LoadAndDelete(p)
	cluster, _ := found.(*testserver.Cluster)
	for _, node := range append(cluster.Nodes, cluster.Replica) {
		node.Kill()
	}
}

// learnsTheCluster: once it has been refused by a replica, which is why it looks for the others.
func learnsTheCluster(operation string, err error) bool {
	return err == nil || operation != "PubSub.Run" && errors.Is(err, ErrRefused) &&
		(errors.Is(err, errMember) || strings.Contains(err.Error(), "MOVED"))
}

// behindTranslation has the address lead to a Cluster that announces an address which leads nowhere from here.
func behindTranslation(t *testing.T, p *testserver.Proxy) {
	t.Helper()
	node := testserver.StartRedis(t, "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", "1")
	node.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	eventually(t, "the cluster", func() bool {
		info, _ := node.Do(t.Context(), "CLUSTER", "INFO").(string)
		return strings.Contains(info, "cluster_state:ok")
	})
	p.SetTarget(node.Addr())
}

func always(want func(error) bool) func(string, error) bool {
	return func(_ string, err error) bool { return want(err) }
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func fails(err error) bool { return err != nil && !errors.Is(err, ErrRefused) }

// isElsewhereFor publishers, while who listens is well where it is.
func isElsewhereFor(operation string, err error) bool {
	if isFeed(operation) {
		return err == nil
	}
	return errors.Is(err, ErrUnready)
}

func silent(operation string, err error) bool {
	if isFeed(operation) {
		return errors.Is(err, ErrSilent)
	}
	return fails(err)
}

var redisFaults = map[string]edge{
	"refuses": {func(_ *testing.T, p *testserver.Proxy) { p.Set(testserver.Refuse) }, always(fails), "", 0, nil},
	"redirects": {func(t *testing.T, p *testserver.Proxy) {
		p.SetTarget(talker(t, func(string) string { return "-MOVED 1 127.0.0.1:1\r\n" }))
	}, func(operation string, err error) bool {
		return errors.Is(err, ErrRefused) && (isFeed(operation) || errors.Is(err, ErrUnready))
	}, "", 0, nil},
	"asks": {func(t *testing.T, p *testserver.Proxy) {
		p.SetTarget(talker(t, func(string) string { return "-ASK 1 127.0.0.1:1\r\n" }))
	}, always(is(ErrRefused)), "", 0, nil},
	"is an HTTP server": {func(t *testing.T, p *testserver.Proxy) {
		p.SetTarget(talker(t, func(string) string { return "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" }))
	}, always(func(err error) bool { return err != nil }), "", 0, nil},
	"is a replica": {func(t *testing.T, p *testserver.Proxy) {
		replica := testserver.StartRedis(t)
		replica.Do(t.Context(), "REPLICAOF", replica.Host(), "1")
		p.SetTarget(replica.Addr())
	}, isElsewhereFor, "", 0, nil},
	"knows another password": {func(t *testing.T, p *testserver.Proxy) {
		p.SetTarget(testserver.StartRedis(t, "--requirepass", canary).Addr())
	}, always(is(ErrRefused)), "", 0, nil},
	"is a Sentinel": {func(t *testing.T, p *testserver.Proxy) {
		p.SetTarget(testserver.StartSentinels(t).Sentinels[0].Addr())
	}, func(operation string, err error) bool {
		switch operation {
		case "PubSub.Run": // which it takes, and the want of heartbeats is what tells
			return err == nil
		case "Stream.Run":
			return errors.Is(err, ErrRefused)
		}
		return errors.Is(err, ErrUnready)
	}, "five processes", 0, nil},
	"is silent": {func(_ *testing.T, p *testserver.Proxy) { p.Set(testserver.Mute) }, silent, "", shortLimit, nil},
	"is slow":   {func(_ *testing.T, p *testserver.Proxy) { p.Set(testserver.Trickle) }, silent, "", shortLimit, nil},
	"announces too much": {func(t *testing.T, p *testserver.Proxy) {
		p.SetTarget(talker(t, func(string) string { return "$99999999999\r\n" }))
	}, always(is(ErrProtocol)), "", 0, nil},
	"nests too much": {func(t *testing.T, p *testserver.Proxy) {
		p.SetTarget(talker(t, func(string) string { return strings.Repeat("*100000\r\n", 100_000) }))
	}, always(is(ErrProtocol)), "", 0, nil},
	"has a long refusal": {func(t *testing.T, p *testserver.Proxy) {
		p.SetTarget(talker(t, func(string) string { return "-ERR " + strings.Repeat("no ", 10_000) + "\r\n" }))
	}, always(func(err error) bool { return errors.Is(err, ErrRefused) && len(err.Error()) < 2*maxErrorText }), "", 0, nil},
	"is a replica of a Cluster":                            {behindReplica, learnsTheCluster, "four processes", 0, endCluster},
	"is a Cluster that announces what leads nowhere (NAT)": {behindTranslation, always(func(err error) bool { return err == nil }), "two seconds until a Cluster takes anything", 0, nil},
	"goes away in the middle":                              {func(_ *testing.T, p *testserver.Proxy) { p.Set(testserver.CutAfter(20)) }, always(fails), "", 0, nil},
	"resets":                                               {func(_ *testing.T, p *testserver.Proxy) { p.Set(testserver.Reset) }, always(fails), "", 0, nil},
}

const (
	anotherCase = "has the environment in another case"
	replaced    = "is replaced by another with the same address"
)

// TestEdgesOfRedis: after each fault the address leads to a server that is well, and then it has to succeed.
func TestEdgesOfRedis(t *testing.T) {
	table := edges.Table{
		Face: "redis", Packages: []string{"."}, Faults: []string{anotherCase, replaced},
		Inside: map[string]string{
			"Config.MarshalJSON": "writes the fields", "Config.Validate": "looks at the fields", "ParseChannels": "reads a word", "ParseURL": "reads a text",
			"NewPubSub": "connects to nothing; Run is the column", "NewStream": "connects to nothing; Run is the column",
			"NewPublisher": "connects to nothing; the methods are columns", "Publisher.Close": "waits for nobody",
		},
		Cell: func(fault, operation string) edges.Cell {
			switch {
			case fault == anotherCase && operation == "Publisher.Heartbeat":
				return edges.Cell{Run: func(t *testing.T) { t.Helper(); otherCase(t) }}
			case fault == anotherCase:
				return edges.Never("the name is made from the same function for all; the cell of Heartbeat is for them")
			case fault == replaced:
				return edges.Cell{Run: func(t *testing.T) { t.Helper(); t.Parallel(); isReplaced(t, operation) }}
			}
			one := redisFaults[fault]
			return edges.Cell{Long: one.long, Run: func(t *testing.T) { t.Helper(); t.Parallel(); strikes(t, one, operation) }}
		},
	}
	for name := range operations {
		table.Operations = append(table.Operations, name)
	}
	for name := range redisFaults {
		table.Faults = append(table.Faults, name)
	}
	table.Run(t)
}

func strikes(t *testing.T, one edge, operation string) {
	t.Helper()
	well := testserver.StartRedis(t)
	p := testserver.NewProxy(t, well.Addr())
	one.begin(t, p)
	again := operations[operation](t, behind(p, cmp.Or(one.limit, calm)))
	for began := time.Now(); ; {
		err := again(t)
		if !one.want(operation, err) {
			t.Errorf("got %v", err)
		}
		if err == nil && isFeed(operation) || time.Since(began) > shortLimit || t.Failed() {
			break // it goes on and has nothing more to tell, or has tried often enough
		}
	}
	if one.ends != nil {
		one.ends(p)
	}
	heal(t, p, well, again)
}

// heal has the address lead to a server that is well.
func heal(t *testing.T, p *testserver.Proxy, well *testserver.Redis, again func(*testing.T) error) {
	t.Helper()
	p.SetTarget(well.Addr())
	p.Set(testserver.Reset)
	p.Set(testserver.Pass)
	for tries := 0; ; tries++ {
		err := again(t)
		if err == nil && well.Connections(t.Context()) > 1 {
			return
		}
		if tries > 50 {
			t.Fatalf("with a server that is well: %v", err)
		}
	}
}

func isReplaced(t *testing.T, operation string) {
	t.Helper()
	first, second := testserver.StartRedis(t), testserver.StartRedis(t)
	p := testserver.NewProxy(t, first.Addr())
	again := operations[operation](t, behind(p, time.Second))
	if err := again(t); err != nil {
		t.Fatal(err)
	}
	heal(t, p, second, again)
}

func otherCase(t *testing.T) {
	t.Helper()
	server := testserver.StartRedis(t)
	var got recorder
	listen(t, newFeed(t, configOf(server), "STAGING"), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	if err := newPublisher(t, configOf(server), EnvironmentChannel).Heartbeat(t.Context(), " Staging ", tenant.Version{Epoch: "e"}); err != nil {
		t.Fatal(err)
	}
	got.wait(t, tenant.SignalHeartbeat, 1)
}

// talker is a server that answers each command by a function, and knows no HELLO. It returns its address.
func talker(t *testing.T, answer func(command string) string) string {
	t.Helper()
	return acceptAll(t, func(conn net.Conn, _ int) {
		lines := bufio.NewScanner(conn)
		for command := readCommand(lines); len(command) > 0; command = readCommand(lines) {
			text := answer(command[0])
			if strings.EqualFold(command[0], "hello") {
				text = fmt.Sprintf("-ERR unknown command %q\r\n", command[0])
			}
			if _, err := conn.Write([]byte(text)); err != nil {
				return
			}
		}
	})
}

package redisevents

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// encoded returns events as they may lie in an outbox, not as we would write them now.
func encoded(t testing.TB, events ...tenant.Event) [][]byte {
	t.Helper()
	var all [][]byte
	for _, event := range events {
		data, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, append(data[:len(data)-1], " }"...))
	}
	return all
}

func of(tenantID, id string) tenant.Event {
	return tenant.Event{EventID: id, EventType: tenant.EventUpdated, TenantID: tenantID, Environment: environment}
}

// names says in a word what became of each event.
func names(errs []error) string {
	words := make([]string, len(errs))
	for i, err := range errs {
		switch {
		case err == nil:
			words[i] = "sent"
		case errors.Is(err, tenant.ErrInvalidEvent):
			words[i] = "invalid"
		case errors.Is(err, ErrNotInStream):
			words[i] = "late"
		case errors.Is(err, ErrSkipped):
			words[i] = "skipped"
		case errors.Is(err, ErrUnready):
			words[i] = "unready"
		case errors.Is(err, ErrRefused):
			words[i] = "refused"
		default:
			words[i] = "failed"
		}
	}
	return strings.Join(words, "+")
}

func TestPublishAllSendsTheBytesInOrder(t *testing.T) {
	redis := testserver.StartRedis(t)
	publisher, err := NewPublisher(PublisherConfig{Redis: configOf(redis), Channels: BothChannels, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = publisher.Close() }()
	raw := redis.Client().PSubscribe(t.Context(), ChannelPattern)
	defer func() { _ = raw.Close() }()
	if _, err := raw.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	var events []tenant.Event
	for i := range 300 {
		events = append(events, numbered(i))
	}
	batch := encoded(t, events...)
	for i, err := range publisher.PublishAll(t.Context(), batch) {
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	got := map[string][]string{} // by channel and tenant
	for range 2 * len(batch) {
		message, err := raw.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		event, _ := tenant.ParseEvent([]byte(message.Payload))
		key := message.Channel + " " + event.TenantID
		got[key] = append(got[key], message.Payload)
	}
	stream := map[string][]string{}
	for _, entry := range redis.Client().XRange(t.Context(), StreamKey(environment), "-", "+").Val() {
		event, _ := tenant.ParseEvent([]byte(entry.Values[streamField].(string)))
		stream[event.TenantID] = append(stream[event.TenantID], entry.Values[streamField].(string))
	}
	for i := range 7 {
		id := fmt.Sprintf("t%d", i)
		var want []string
		for n := i; n < len(batch); n += 7 {
			want = append(want, string(batch[n]))
		}
		for where, have := range map[string][]string{
			"environment": got[EnvironmentChannelName(environment)+" "+id], "tenant": got[TenantChannelName(id)+" "+id], "stream": stream[id],
		} {
			if !slices.Equal(have, want) {
				t.Errorf("%s, %s: %d events, or not those %d in order", id, where, len(have), len(want))
			}
		}
	}
}

// TestPublishAllIsPipelined has a server that answers nothing before it has been sent everything.
func TestPublishAllIsPipelined(t *testing.T) {
	const n = 50
	publisher := scripted(t, func(sent []string) string {
		if len(sent) < n {
			return ""
		}
		return strings.Repeat(":0\r\n", n)
	})
	var events []tenant.Event
	for i := range n {
		events = append(events, of(fmt.Sprintf("t%d", i), "e"))
	}
	for _, err := range publisher.PublishAll(t.Context(), encoded(t, events...)) {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPublishAllStopsATenantAtItsFirstFailure(t *testing.T) {
	var mu sync.Mutex
	var sent []string
	publisher := scripted(t, func(all []string) string {
		mu.Lock()
		defer mu.Unlock()
		sent = slices.Clone(all)
		if len(all) == 2 {
			return "-ERR not now\r\n" // only this once
		}
		return ":0\r\n"
	})
	errs := publisher.PublishAll(t.Context(), encoded(t, of("a", "a1"), of("b", "b1"), of("B", "B1"), of("b", "b2"), of("a", "a2"), of("b", "b3"), of("a", "a3")))
	if got, want := names(errs), "sent+refused+sent+skipped+sent+skipped+sent"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	mu.Lock()
	defer mu.Unlock()
	if got, want := strings.Join(sent, " "), "a1 b1 B1 a2 a3"; got != want {
		t.Errorf("the server was sent %s, want %s", got, want)
	}
}

func TestPublishAllKnowsOneTenantInTwoSpellings(t *testing.T) {
	dashed, plain := "6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012", "6F1C2A9E4B7D4E0F8A3B5C6D7E8F9012"
	publisher := scripted(t, func([]string) string { return "-ERR never\r\n" })
	errs := publisher.PublishAll(t.Context(), encoded(t, of(dashed, "1"), of(plain, "2")))
	if got, want := names(errs), "refused+skipped"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPublishAllPassesOverWhatIsNoEvent(t *testing.T) {
	redis := testserver.StartRedis(t)
	batch := encoded(t, of("a", "1"), of("", "2"), of("a", "3"))
	batch = append(batch, []byte("{"), []byte(strings.Repeat(" ", tenant.MaxEventBytes+1)), nil)
	errs := newPublisher(t, configOf(redis), EnvironmentChannel).PublishAll(t.Context(), batch)
	if got, want := names(errs), "sent+invalid+sent+invalid+invalid+invalid"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPublishAllToAnACLThatLacksATenant(t *testing.T) {
	redis := testserver.StartRedis(t)
	redis.Do(t.Context(), "ACL", "SETUSER", "publisher", "on", ">"+canary, "resetchannels", "&tenant-events:a", "-@all", "+publish")
	cfg := configOf(redis)
	cfg.Username, cfg.Password = "publisher", canary
	errs := newPublisher(t, cfg, TenantChannel).PublishAll(t.Context(), encoded(t, of("a", "1"), of("b", "1"), of("a", "2"), of("b", "2")))
	if got, want := names(errs), "sent+refused+sent+skipped"; got != want || !errors.Is(errs[1], ErrForbidden) {
		t.Errorf("got %s, want %s: %v", got, want, errs[1])
	}
}

func TestPublishAllTellsAServerThatIsNotReady(t *testing.T) {
	redis := testserver.StartRedis(t)
	publisher, err := NewPublisher(PublisherConfig{Redis: configOf(redis), Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = publisher.Close() }()
	batch := encoded(t, of("a", "1"), of("b", "1"), of("a", "2"))
	for _, tt := range []struct {
		name     string
		set, end []any
		want     string
	}{
		{"no memory", []any{"CONFIG", "SET", "maxmemory", "1"}, []any{"CONFIG", "SET", "maxmemory", "0"}, "late+late+late"},
		{"a replica", []any{"REPLICAOF", redis.Host(), "1"}, []any{"REPLICAOF", "NO", "ONE"}, "unready+unready+skipped"},
		{"too few replicas", []any{"CONFIG", "SET", "min-replicas-to-write", "1"}, []any{"CONFIG", "SET", "min-replicas-to-write", "0"}, "late+late+late"},
	} {
		redis.Do(t.Context(), tt.set...)
		errs := publisher.PublishAll(t.Context(), batch)
		if got := names(errs); got != tt.want || !errors.Is(errs[1], ErrUnready) {
			t.Errorf("%s: got %s, want %s, all for want of readiness: %v", tt.name, got, tt.want, errs[1])
		}
		redis.Do(t.Context(), tt.end...)
		if got, want := names(publisher.PublishAll(t.Context(), batch)), "sent+sent+sent"; got != want {
			t.Errorf("%s, after it: got %s, want %s", tt.name, got, want)
		}
	}
}

func TestPublishAllToAServerThatRefusesTheConnection(t *testing.T) {
	redis := testserver.StartRedis(t, "--requirepass", canary)
	errs := newPublisher(t, configOf(redis), EnvironmentChannel).PublishAll(t.Context(), encoded(t, of("a", "1"), of("b", "1"), of("a", "2")))
	if got, want := names(errs), "unready+unready+skipped"; got != want {
		t.Errorf("without a password: got %s, want %s", got, want)
	}
	cfg := configOf(redis)
	cfg.Username, cfg.Password = "nobody", canary
	errs = newPublisher(t, cfg, EnvironmentChannel).PublishAll(t.Context(), encoded(t, of("a", "1")))
	if got, want := names(errs), "unready"; got != want || strings.Contains(errs[0].Error(), canary) {
		t.Errorf("with a wrong one: %v", errs)
	}
}

func TestPublishAllWithoutRedis(t *testing.T) {
	redis := testserver.StartRedis(t)
	publisher := newPublisher(t, configOf(redis), EnvironmentChannel)
	batch := encoded(t, of("a", "1"), of("b", "1"), of("a", "2"))
	redis.Kill()
	if got, want := names(publisher.PublishAll(t.Context(), batch)), "failed+failed+skipped"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	redis.Start()
	if got, want := names(publisher.PublishAll(t.Context(), batch)), "sent+sent+sent"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPublishAllHeedsTheDeadline(t *testing.T) {
	redis := testserver.StartRedis(t)
	proxy := testserver.NewProxy(t, redis.Addr())
	publisher := newPublisher(t, behind(proxy, 0), EnvironmentChannel)
	publish(t, publisher, 0, 1)
	proxy.Set(testserver.Silence)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, want := names(publisher.PublishAll(ctx, encoded(t, of("a", "1"), of("a", "2")))), "failed+skipped"; got != want {
		t.Errorf("into the silence: got %s, want %s", got, want)
	}
	proxy.Set(testserver.Pass)
	if got, want := names(publisher.PublishAll(ctx, encoded(t, of("a", "1"), of("a", "2")))), "failed+skipped"; got != want {
		t.Errorf("after the deadline: got %s, want %s", got, want)
	}
}

// TestPublishAllInACluster looks where the messages of a channel go in: were it two nodes, they could change places.
func TestPublishAllInACluster(t *testing.T) {
	cluster := testserver.StartCluster(t)
	publisher, err := NewPublisher(PublisherConfig{Redis: Config{Addrs: cluster.Addrs()}, Channels: BothChannels, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = publisher.Close() }()
	raw := cluster.Nodes[1].Client().Subscribe(t.Context(), EnvironmentChannelName(environment))
	defer func() { _ = raw.Close() }()
	if _, err := raw.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	var events []tenant.Event
	for i := range 200 {
		events = append(events, of("only", fmt.Sprint(i)))
	}
	for i, err := range publisher.PublishAll(t.Context(), encoded(t, events...)) {
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	for i := range events {
		message, err := raw.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if event, _ := tenant.ParseEvent([]byte(message.Payload)); event.EventID != fmt.Sprint(i) {
			t.Fatalf("event %q came in place %d", event.EventID, i)
		}
	}
	for _, node := range cluster.Nodes {
		stats, _ := node.Do(t.Context(), "INFO", "commandstats").(string)
		_, calls, found := strings.Cut(stats, "cmdstat_publish:calls=")
		calls, _, _ = strings.Cut(calls, ",")
		if found && calls != "200" && calls != "400" {
			t.Errorf("a node was sent %s of the 200 messages of a channel", calls)
		}
	}
}

// scripted returns a publisher that talks to answer instead of a server. It is called after each PUBLISH with the ids of
// all events so far, and returns what to write.
func scripted(t testing.TB, answer func(sent []string) string) *Publisher {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serveScript(conn, answer)
		}
	}()
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	return newPublisher(t, Config{Host: host, Port: port}, EnvironmentChannel)
}

func serveScript(conn net.Conn, answer func([]string) string) {
	defer func() { _ = conn.Close() }()
	var sent []string
	for lines := bufio.NewScanner(conn); ; {
		command := readCommand(lines)
		switch {
		case len(command) == 0:
			return
		case strings.EqualFold(command[0], "publish"):
			event, _ := tenant.ParseEvent([]byte(command[2]))
			sent = append(sent, event.EventID)
			_, _ = conn.Write([]byte(answer(sent)))
		default:
			_, _ = fmt.Fprintf(conn, "-ERR unknown command %q\r\n", command[0])
		}
	}
}

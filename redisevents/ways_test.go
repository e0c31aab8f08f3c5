package redisevents

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// sent returns the ids of the events of a command, in the order in which they came.
func (s *scriptedServer) sent(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, command := range s.commands {
		if strings.EqualFold(command[0], name) {
			event, _ := tenant.ParseEvent([]byte(command[len(command)-1]))
			ids = append(ids, event.EventID)
		}
	}
	return strings.Join(ids, " ")
}

// TestX06AStreamThatTakesNothing holds up nothing on the channels, and gets what it lacks in order, later.
func TestX06AStreamThatTakesNothing(t *testing.T) {
	full := true
	server := &scriptedServer{}
	server.answer = func(_ int, words []string) string {
		if full && words[0] == "xadd" && !strings.Contains(words[len(words)-1], `"b"`) {
			return "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
		}
		return ":0\r\n"
	}
	publisher := newStreamPublisher(t, server.start(t))
	batch := encoded(t, of("a", "a1"), of("b", "b1"), of("a", "a2"), of("a", "a3"), of("b", "b2"))
	errs := publisher.PublishAll(t.Context(), batch)
	if got, want := names(errs), "late+sent+late+late+sent"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := server.sent("publish"), "a1 b1 a2 a3 b2"; got != want {
		t.Errorf("the channels got %s, want %s", got, want)
	}
	if got, want := server.sent("xadd"), "a1 b1 b2"; got != want {
		t.Errorf("the stream was offered %s, want %s", got, want)
	}
	server.mu.Lock()
	full, server.commands = false, nil
	server.mu.Unlock()
	late := [][]byte{batch[0], batch[2], batch[3]}
	if got, want := names(publisher.AppendAll(t.Context(), late)), "sent+sent+sent"; got != want {
		t.Errorf("later: %s, want %s", got, want)
	}
	if got := server.sent("publish") + "/" + server.sent("xadd"); got != "/a1 a2 a3" {
		t.Errorf("AppendAll sent %s", got)
	}
	if got := names(publisher.AnnounceAll(t.Context(), late)); got != "sent+sent+sent" || server.sent("publish") != "a1 a2 a3" || server.sent("xadd") != "a1 a2 a3" {
		t.Errorf("AnnounceAll: %s, and sent %s and %s", got, server.sent("publish"), server.sent("xadd"))
	}
}

// TestX06AppendAllStopsATenantAtItsFirstFailure, and without a stream there is nothing to do.
func TestX06AppendAllStopsATenantAtItsFirstFailure(t *testing.T) {
	server := &scriptedServer{answer: func(_ int, words []string) string {
		if strings.Contains(words[len(words)-1], `"a1"`) {
			return "-OOM no\r\n"
		}
		return "$3\r\n1-1\r\n"
	}}
	batch := encoded(t, of("a", "a1"), of("b", "b1"), of("a", "a2"))
	cfg := server.start(t)
	if got, want := names(newStreamPublisher(t, cfg).AppendAll(t.Context(), batch)), "unready+sent+skipped"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := names(newPublisher(t, cfg, EnvironmentChannel).AppendAll(t.Context(), batch)), "sent+sent+sent"; got != want {
		t.Errorf("without a stream: %s, want %s", got, want)
	}
}

// TestX39WhatAnACLForbidsEveryEvent is told apart from what it forbids one.
func TestX39WhatAnACLForbidsEveryEvent(t *testing.T) {
	const events, own = "&tenant-events:staging:", "&tenant-events:a"
	for _, tt := range []struct {
		name     string
		channels Channels
		rule     []any
		want     string
	}{
		{"no XADD", EnvironmentChannel, []any{events, "~*", "+publish"}, "late"},
		{"no key", EnvironmentChannel, []any{events, "+publish", "+xadd"}, "late"},
		{"no PUBLISH", EnvironmentChannel, []any{events, "~*", "+xadd"}, "unready"},
		{"not the channel of all", EnvironmentChannel, []any{own, "~*", "+publish", "+xadd"}, "unready"},
		{"not the channel of all, of two", BothChannels, []any{own, "~*", "+publish", "+xadd"}, "unready"},
		{"not the tenant's own", BothChannels, []any{events, "~*", "+publish", "+xadd"}, "refused"},
		{"everything", BothChannels, []any{events, own, "~*", "+publish", "+xadd"}, "sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			redis := testserver.StartRedis(t)
			redis.Do(t.Context(), append([]any{"ACL", "SETUSER", "publisher", "on", ">" + canary, "resetchannels", "-@all"}, tt.rule...)...)
			cfg := configOf(redis)
			cfg.Username, cfg.Password = "publisher", canary
			publisher, err := NewPublisher(PublisherConfig{Redis: cfg, Channels: tt.channels, Stream: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = publisher.Close() }()
			errs := publisher.PublishAll(t.Context(), encoded(t, of("a", "1")))
			if got := names(errs); got != tt.want {
				t.Errorf("got %s, want %s: %v", got, tt.want, errs)
			}
			if tt.want == "late" && !errors.Is(errs[0], ErrUnready) {
				t.Errorf("this is the event's own fault: %v", errs[0])
			}
		})
	}
}

// TestX04ABatchIsSentInTheOrderGiven, so that revisions arrive as they were counted.
func TestX04ABatchIsSentInTheOrderGiven(t *testing.T) {
	server := &scriptedServer{answer: func(int, []string) string { return ":0\r\n" }}
	publisher := newPublisher(t, server.start(t), EnvironmentChannel)
	var events []tenant.Event
	var want []string
	for i := range inOrder {
		events = append(events, of(fmt.Sprintf("t%d", i*i%7), fmt.Sprint(i)))
		want = append(want, fmt.Sprint(i))
	}
	for i, err := range publisher.PublishAll(t.Context(), encoded(t, events...)) {
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if got := server.sent("publish"); got != strings.Join(want, " ") {
		t.Errorf("sent in the order %s", got)
	}
}

// TestX04OvertakingIsBounded in a batch that is too large for order alone: in rounds, and to none where a round trip is slow.
func TestX04OvertakingIsBounded(t *testing.T) {
	publisher := newPublisher(t, Config{Host: "nobody"}, EnvironmentChannel)
	var events []tenant.Event
	for i := range 500 {
		events = append(events, of(fmt.Sprintf("t%d", i*i%11%5), fmt.Sprint(i)))
	}
	for _, ahead := range []int{lookAhead, 3, 0} {
		b := publisher.newBatch(encoded(t, events...), toChannels)
		if b.ahead != lookAhead {
			t.Errorf("a batch of %d looks %d ahead", len(events), b.ahead)
		}
		b.ahead = ahead
		last, sent, overtaken := map[string]int{}, map[int]bool{}, map[int]int{}
		for len(b.waiting) > 0 {
			round, seen := b.next(), map[string]bool{}
			for _, out := range round {
				if seen[out.tenant] || out.place < last[out.tenant] {
					t.Fatalf("event %d of %s comes after %d, or twice in a round", out.place, out.tenant, last[out.tenant])
				}
				seen[out.tenant], last[out.tenant], sent[out.place] = true, out.place, true
			}
			newest := slices.MaxFunc(round, func(a, b *outgoing) int { return a.place - b.place }).place
			for i := range newest {
				if !sent[i] {
					overtaken[i]++
				}
			}
		}
		if len(sent) != len(events) {
			t.Errorf("%d of %d events were sent", len(sent), len(events))
		}
		for place, rounds := range overtaken {
			if rounds > ahead+1 || ahead == 0 {
				t.Errorf("looking %d ahead, event %d was overtaken for %d rounds", ahead, place, rounds)
			}
		}
	}
}

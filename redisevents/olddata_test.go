package redisevents

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// oldEntry is an entry of a stream: its id, the field and the value.
type oldEntry [3]string

// TestOldDataAStreamGoesOn: this one was begun by the program of commit c26c301. It is read from where a reader is, and what
// is published now comes behind it.
func TestOldDataAStreamGoesOn(t *testing.T) {
	const of = "production"
	entries := oldStream(t)
	server := testserver.StartRedis(t)
	add := func(e oldEntry) {
		t.Helper()
		if err := server.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: StreamKey(of), ID: e[0], Values: []any{e[1], e[2]}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	read := len(entries) - 2
	for _, e := range entries[:read] {
		add(e)
	}
	var got recorder
	listen(t, newStream(t, configOf(server), of), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	for _, e := range entries[read:] {
		add(e)
	}
	got.wait(t, tenant.SignalEvent, 2)
	publisher, err := NewPublisher(PublisherConfig{Redis: configOf(server), Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = publisher.Close() }()
	if err := publisher.Publish(t.Context(), tenant.Event{
		EventType: tenant.EventUpdated, TenantID: "t", EventID: "new", Environment: of, Revision: uint64(len(entries) + 1),
	}); err != nil {
		t.Fatal(err)
	}
	events := got.wait(t, tenant.SignalEvent, 3)
	for i, signal := range events {
		if want := uint64(read + i + 1); signal.Event.Revision != want || signal.Event.Environment != of {
			t.Errorf("event %d is %+v, want revision %d", i, signal.Event, want)
		}
	}
}

func oldStream(t *testing.T) (entries []oldEntry) {
	t.Helper()
	file, err := os.Open("testdata/c26c301.stream.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var e oldEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

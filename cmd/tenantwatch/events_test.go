package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestX23EventsAsPublished: zeros at the end of a timestamp, fields that nobody here knows, and their order stay.
func TestX23EventsAsPublished(t *testing.T) {
	events := []string{
		`{"event_id":"1","event_type":"tenant.created","timestamp":"2026-03-27T14:45:00.120000Z","tenant_id":"acme","revision":1}`,
		`{"tenant_id":"acme","event_type":"tenant.updated","new":{"a": 1.0,"b":"<&>"},"tenant_slug":"","revision":2,"revision_of":null}`,
	}
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("after") == "0" {
			_, _ = fmt.Fprintf(w, `{"epoch":"e","events":[%s],"next":2}`, strings.Join(events, ","))
			return
		}
		_, _ = fmt.Fprint(w, `{"epoch":"e","events":[],"next":2}`)
	}))
	defer manager.Close()
	t.Setenv("TENANTWATCH_TOKEN", "t")
	var out strings.Builder
	code, stderr := call(t.Context(), &out, "events", "--since", "0", "--json", "--manager-url", manager.URL)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != exitDone || len(lines) != 2 || !strings.HasPrefix(lines[0], `{"type":"event","at":"2026-03-27T14:45:00.12Z","event":`) {
		t.Fatalf("exit code %d, %s\n%s", code, stderr, &out)
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, `,"event":`+events[i]+"}") {
			t.Errorf("got  %s\nwant %s", line, events[i])
		}
	}
}

// TestX23EventsOfARealManager compares them with what came out of Redis.
func TestX23EventsOfARealManager(t *testing.T) {
	t.Parallel()
	serve := startServe(t, "sqlite:"+t.TempDir()+"/t.db")
	heard := serve.redis.Client().Subscribe(t.Context(), "tenant-events:staging:")
	defer func() { _ = heard.Close() }()
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	const tenants = 12
	for i := range tenants {
		serve.command("tenant", "create", fmt.Sprintf("Tenant <%d> & \u00fc", i), "--slug", fmt.Sprintf("t%d", i))
	}
	var published []string
	for message := range heard.Channel() {
		if published = append(published, message.Payload); strings.Contains(message.Payload, fmt.Sprintf(`"t%d"`, tenants-1)) {
			break
		}
	}
	got := strings.Split(strings.TrimSpace(serve.command("events", "--since", "0", "--json")), "\n")
	for i := range published {
		if i >= len(got) || !strings.HasSuffix(got[i], `,"event":`+published[i]+"}") {
			t.Fatalf("event %d is not as published:\n%s\n%s", i, got, published)
		}
	}
	serve.interrupt()
}

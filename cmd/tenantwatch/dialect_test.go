package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/abuse"
)

// TestOneDialect has every command print for programs, and holds the types and the fields of what comes in a golden file. Each object
// has its type first, and then its time, in UTC.
func TestOneDialect(t *testing.T) {
	t.Parallel()
	shapes := map[string]bool{}
	take := func(where, text string) {
		for line := range strings.Lines(text) {
			shapes[shapeOf(t, where, line)] = true
		}
	}
	serve := startServe(t, "sqlite:"+filepath.Join(t.TempDir(), "t.db"), "--json")
	command := func(args ...string) string {
		out := serve.command(append(args, "--json")...)
		take(strings.Join(args, " "), out)
		return out
	}
	id := strings.TrimSpace(serve.command("tenant", "create", "Acme Inc."))
	command("tenant", "create", "Initech", "--slug", "ini", "--metadata", "plan=gold")
	command("service", "associate", id, "ledger", "--new-service")
	command("service", "suspend", id, "ledger")
	command("service", "reactivate", id, "ledger")
	command("tenant", "suspend", id)
	command("tenant", "reactivate", id)
	command("tenant", "list")
	command("tenant", "get", id)
	var key struct{ ID, Key string }
	if err := json.Unmarshal([]byte(command("key", "create", "--service", "ledger")), &key); err != nil {
		t.Fatal(err)
	}
	command("key", "list")
	command("token", "create")
	command("token", "list")
	command("events", "--since", "0")
	command("version")
	follow := startProcess(t, append(serve.env, "TENANTWATCH_API_KEY="+key.Key, "TENANTWATCH_URL="+serve.ready.ManagerURL),
		"follow", "--service", "ledger", "--environment", "staging", "--json", "--verbose")
	follow.await(&follow.err, `"state":"live"`)
	names := newRoll(t)
	work := startProcess(t, append(serve.env, names.env(), "TENANTWATCH_API_KEY="+key.Key, "TENANTWATCH_URL="+serve.ready.ManagerURL),
		"work", "--service", "ledger", "--environment", "staging", "--json", "--", "sh", "-c", "echo hello; sleep 60")
	work.await(&work.out, "hello")
	command("service", "disassociate", id, "ledger")
	follow.await(&follow.out, `"removed"`)
	work.await(&work.out, `"stopped"`)
	command("key", "revoke", key.ID)
	command("tenant", "delete", id, "--yes")
	for _, p := range []*launched{follow, work, serve.launched} {
		p.interrupt()
		take("out of a process", p.out.String())
		take("err of a process", p.err.String())
	}
	dev := startProcess(t, nil, "dev", "--json", "--churn", "50")
	dev.await(&dev.out, `"latency_ms"`)
	dev.interrupt()
	take("dev", dev.out.String())
	copied := filepath.Join(t.TempDir(), "copy")
	take("backup", serve.run(serve.serve, "backup", copied, "--json"))
	restored := slices.DeleteFunc(slices.Clone(serve.serve), func(v string) bool { return strings.HasPrefix(v, "TENANTWATCH_DB=") })
	take("restore", serve.run(append(restored, "TENANTWATCH_DB=sqlite:"+filepath.Join(t.TempDir(), "r.db")), "restore", copied, "--json"))
	take("by hand", byHand(t))

	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	for shape := range shapes {
		kind, _, _ := strings.Cut(strings.TrimPrefix(shape, `{"type":"`), `"`)
		if !strings.Contains(string(manual), "`"+kind+"`") {
			t.Errorf("docs/commands.md does not have the type %s", kind)
		}
	}
	got := strings.Join(slices.Sorted(maps.Keys(shapes)), "\n") + "\n"
	golden := filepath.Join("testdata", "json.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(golden); err != nil || got != string(want) {
		t.Errorf("%v: got\n%s\nwant\n%s", err, got, want)
	}
}

// byHand prints what would take minutes, or an event that cannot be published.
func byHand(t *testing.T) string {
	t.Helper()
	var out bytes.Buffer
	std := streams{out: &printer{w: &out}, err: &printer{w: &bytes.Buffer{}}}
	s := &session{streams: std, asJSON: true}
	if err := (&benchAbuseCommand{JSON: true}).show(std, []abuse.Result{{Attack: "lists", Passed: true}}); err != nil {
		t.Error(err)
	}
	if err := page(&listing{session: s, noun: "quarantined event"}, someGivenUp(), quarantinedCells); err != nil {
		t.Error(err)
	}
	if err := s.done("retry", retried{Revision: 1, Status: "pending"}, ""); err != nil {
		t.Error(err)
	}
	newLogger(slog.LevelInfo, true, &out).InfoContext(t.Context(), "a message")
	return out.String()
}

// shapeOf is a line without its values; but of a log there is only what all lines have.
func shapeOf(t *testing.T, where, line string) string {
	t.Helper()
	var head struct {
		Type string
		At   time.Time
	}
	if err := json.Unmarshal([]byte(line), &head); err != nil || head.Type == "" || head.At.IsZero() || head.At.Location() != time.UTC {
		t.Errorf("%s: %v: no type or no time in UTC in %s", where, err, line)
		return ""
	}
	if head.Type == "log" {
		return `{"type":"log","at":time,"level":text,"msg":text,…}`
	}
	if !strings.HasPrefix(line, fmt.Sprintf(`{"type":%q,"at":"`, head.Type)) {
		t.Errorf("%s: the type and the time are not first in %s", where, line)
	}
	shape := shapeOfNext(t, json.NewDecoder(strings.NewReader(line)))
	shape = strings.Replace(shape, `,"lastUsedAt":time`, "", 1) // which comes a moment later
	return strings.Replace(shape, `"type":text`, fmt.Sprintf(`"type":%q`, head.Type), 1)
}

// shapeOfNext writes the next value as its kind. An event has what the protocol says.
func shapeOfNext(t *testing.T, d *json.Decoder) string {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch v := token.(type) {
	case json.Delim:
		var parts []string
		for d.More() {
			if v == '[' {
				parts = append(parts, shapeOfNext(t, d))
				continue
			}
			name, _ := d.Token()
			part := fmt.Sprintf("%q:%s", name, shapeOfNext(t, d))
			switch name {
			case "event":
				part = `"event":{…}`
			case "metadata":
				part = `"metadata":{…}`
			}
			parts = append(parts, part)
		}
		_, _ = d.Token()
		if v == '[' {
			return "[" + strings.Join(slices.Compact(parts), ",") + "]"
		}
		return "{" + strings.Join(parts, ",") + "}"
	case string:
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			return "time"
		}
		return "text"
	case float64:
		return "number"
	case bool:
		return "truth"
	default:
		return "null"
	}
}

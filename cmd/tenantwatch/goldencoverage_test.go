package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// checkAnswer holds an answer to what is true of every one, whatever the golden files say.
func checkAnswer(t *testing.T, call string, resp *http.Response, body string) {
	t.Helper()
	if resp.StatusCode == http.StatusNoContent {
		if kind := resp.Header.Get("Content-Type"); body != "" || kind != "" {
			t.Errorf("%s: 204 with a body %q of type %q", call, body, kind)
		}
		return
	}
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil || resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: no JSON, or not called so: %s, %v", call, body, err)
	}
	if fields, ok := value.(map[string]any); ok && strings.HasPrefix(call, callForChanges) {
		delete(fields, "events") // which are as they are on Redis
	}
	checkFields(t, call, value)
	if resp.StatusCode < http.StatusBadRequest {
		return
	}
	var refusal struct{ Code, Error, Status string }
	if err := json.Unmarshal([]byte(body), &refusal); err != nil || refusal.Code == "" || refusal.Error == "" {
		t.Errorf("%s: an error without code or error: %s, %v", call, body, err)
	}
	if scheme := resp.Header.Get("WWW-Authenticate"); (resp.StatusCode == http.StatusUnauthorized) != (scheme == "ApiKey" || scheme == "Bearer") {
		t.Errorf("%s: %d that asks for %q", call, resp.StatusCode, scheme)
	}
	if (resp.StatusCode == http.StatusForbidden) != (refusal.Status != "") {
		t.Errorf("%s: %d with the status %q", call, resp.StatusCode, refusal.Status)
	}
}

var camelCase = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)

// checkFields looks for null, and for names that are not in camelCase.
func checkFields(t *testing.T, call string, value any) {
	t.Helper()
	switch value := value.(type) {
	case nil:
		t.Errorf("%s: there is a null", call)
	case []any:
		for _, one := range value {
			checkFields(t, call, one)
		}
	case map[string]any:
		for name, one := range value {
			if !camelCase.MatchString(name) {
				t.Errorf("%s: the name %q is not in camelCase", call, name)
			}
			checkFields(t, call, one)
		}
	}
}

// What docs/protocol.md says in its tables, and of the list.
var (
	listLine  = regexp.MustCompile("(?m)^`(GET) (/v1/tenants/active)\\?service=NAME` \\(\\*\\*base\\*\\*\\)(.*)$")
	callLine  = regexp.MustCompile("(?m)^\\| `([A-Z]+) (/v1/tenants[^`]*)` \\|(.*)\\|$")
	eventLine = regexp.MustCompile("(?m)^\\| \\[`(tenant\\.[a-z.]+)`\\]\\([^)]*\\) \\|([^|]*)\\|")
	status    = regexp.MustCompile(`\b(2xx|[2-5]\d\d)\b`)
	announces = regexp.MustCompile("event `([a-z.]+)`")
	quoted    = regexp.MustCompile("`([a-z_]+\\??)`")
	eventType = regexp.MustCompile(`"event_type":"([a-z.]+)"`)
)

const (
	callsOfTheProtocol  = 15
	eventsOfTheProtocol = 13
)

// checkCoverage fails when a line of the protocol has no scene.
func checkCoverage(t *testing.T, scenes []scene) {
	t.Helper()
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	calls := append(listLine.FindAllStringSubmatch(string(text), -1), callLine.FindAllStringSubmatch(string(text), -1)...)
	events := eventLine.FindAllStringSubmatch(string(text), -1)
	if len(calls) != callsOfTheProtocol || len(events) != eventsOfTheProtocol {
		t.Fatalf("read %d calls and %d events in docs/protocol.md", len(calls), len(events))
	}
	for _, call := range calls {
		checkCall(t, scenes, call[1], call[2], call[3])
	}
	for _, event := range events {
		checkEvent(t, scenes, event[1], event[2])
	}
	checkSamples(t, scenes)
}

// checkCall looks for each status that the line names, for a refusal of a caller that shows nothing, and for the event.
func checkCall(t *testing.T, scenes []scene, method, path, says string) {
	t.Helper()
	pattern := strings.NewReplacer("{id}", "[^/?]+", "{service}", "[^/?]+").Replace(path)
	call := regexp.MustCompile("^" + method + " " + pattern + `(\?.*)?$`)
	var found []scene
	for _, s := range scenes {
		if call.MatchString(s.call) {
			found = append(found, s)
		}
	}
	for _, want := range append(status.FindAllString(says, -1), "401") {
		if !slices.ContainsFunc(found, func(s scene) bool {
			return strconv.Itoa(s.status) == want || want == "2xx" && s.status/100 == 2
		}) {
			t.Errorf("%s %s: no scene has %s", method, path, want)
		}
	}
	for _, want := range announces.FindAllStringSubmatch(says, -1) {
		if !slices.ContainsFunc(found, func(s scene) bool { return len(s.events) == 1 && typeOf(s.events[0]) == want[1] }) {
			t.Errorf("%s %s: no scene has the event %s", method, path, want[1])
		}
	}
	if strings.Contains(says, "?purge=true") && !slices.ContainsFunc(found, func(s scene) bool {
		return s.status/100 == 2 && strings.HasSuffix(s.call, "?purge=true")
	}) {
		t.Errorf("%s %s: no scene purges", method, path)
	}
}

func typeOf(m message) string {
	if found := eventType.FindStringSubmatch(m.data); found != nil {
		return found[1]
	}
	return ""
}

// checkEvent looks whether there is such an event, and whether its payloads have the fields that the line names and no others.
func checkEvent(t *testing.T, scenes []scene, kind, says string) {
	t.Helper()
	there := 0
	for _, s := range scenes {
		for _, event := range s.events {
			if typeOf(event) == kind {
				there++
				checkPayload(t, event.raw, says)
			}
		}
	}
	if there == 0 {
		t.Errorf("no scene has the event %s", kind)
	}
}

func checkPayload(t *testing.T, data, says string) {
	t.Helper()
	var event struct{ Payload map[string]any }
	if err := json.Unmarshal([]byte(data), &event); err != nil {
		t.Fatal(err)
	}
	left := event.Payload
	for _, field := range quoted.FindAllStringSubmatch(says, -1) {
		name, optional := strings.CutSuffix(field[1], "?")
		if _, ok := left[name]; !ok && !optional {
			t.Errorf("%s has no %s", data, name)
		}
		delete(left, name)
	}
	if len(left) > 0 || strings.Contains(says, "–") && event.Payload != nil {
		t.Errorf("%s has a payload, or fields in it, that docs/protocol.md does not name", data)
	}
}

// checkSamples: what docs/protocol.md shows is what is sent.
func checkSamples(t *testing.T, scenes []scene) {
	t.Helper()
	var bodies []any
	for _, s := range scenes {
		bodies = append(bodies, bare(s.body), bare(s.answer))
	}
	files, err := filepath.Glob("../../docs/samples/rest/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d samples, %v", len(files), err)
	}
	for _, file := range files {
		switch filepath.Base(file) {
		case "active-tenants.json", "error-problem.json": // ids that another manager has given, and a database that is gone
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sample := bare(string(data))
		if !slices.ContainsFunc(bodies, func(body any) bool { return reflect.DeepEqual(body, sample) }) {
			t.Errorf("no scene has the body of %s", file)
		}
	}
}

// bare is a body without ids, times, versions and digests, and without the fields of problem+json. It is nil for none.
func bare(body string) any {
	var value any
	if json.Unmarshal([]byte(strings.ReplaceAll(body, "{revision}", "0")), &value) != nil {
		return nil
	}
	fields, _ := value.(map[string]any)
	for _, name := range []string{"id", "createdAt", "updatedAt", "type", "title", "detail", "epoch", "revision", "digest"} {
		delete(fields, name)
	}
	events, _ := fields["events"].([]any)
	for _, event := range events {
		one, _ := event.(map[string]any)
		for _, name := range []string{"event_id", "timestamp", "tenant_id", "tenant_slug", "tenant_name", "epoch", "revision"} {
			delete(one, name)
		}
	}
	return value
}

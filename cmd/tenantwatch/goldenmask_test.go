package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// masks puts words in braces where values differ from run to run, and looks at the form of each value that it hides.
type masks struct {
	words    map[string]string // what a word stands for
	seen     map[string]bool   // ids of events
	epoch    string
	revision uint64 // of the last event
	listed   uint64 // the digest of the last list
}

func newMasks() *masks {
	return &masks{words: map[string]string{}, seen: map[string]bool{}}
}

var (
	idForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,255}$`)
	uuid7   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	instant = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)
	micros  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6,9}Z$`)

	timeField = regexp.MustCompile(`"(createdAt|updatedAt)":"([^"]*)"`)
	eventHead = regexp.MustCompile(`^{"event_id":"([^"]*)","event_type":"[a-z.]+","timestamp":"([^"]*)","tenant_id":"([^"]*)","tenant_slug":"[^"]+","environment":"staging"(?:,"tenant_name":"[^"]+")?[,}]`)
	eventTail = regexp.MustCompile(`,"epoch":"([^"]+)","revision":(\d+)}$`)

	awayFrom = regexp.MustCompile(`\{revision(?: ([+-]) (\d+))?\}`) // from the revision of the last event
)

// fill puts the values in. A tenant's id can be asked for in another spelling too.
func (m *masks) fill(text string) string {
	for word, value := range m.words {
		dashed := value
		if len(value) == 32 { //nolint:mnd // a UUID without dashes
			dashed = strings.Join([]string{value[:8], value[8:12], value[12:16], value[16:20], value[20:]}, "-")
		}
		text = strings.ReplaceAll(text, word, value)
		text = strings.ReplaceAll(text, strings.TrimSuffix(word, "}")+" with dashes}", dashed)
		text = strings.ReplaceAll(text, strings.TrimSuffix(word, "}")+" in capitals}", strings.ToUpper(value))
	}
	return text
}

// version puts in the version of the last event, and revisions at a distance from it.
func (m *masks) version(text string) string {
	text = strings.ReplaceAll(text, "{epoch}", m.epoch)
	return awayFrom.ReplaceAllStringFunc(text, func(word string) string {
		parts := awayFrom.FindStringSubmatch(word)
		by, _ := strconv.ParseUint(parts[2], 10, 64) // none is 0
		if parts[1] == "-" {
			return strconv.FormatUint(m.revision-by, 10)
		}
		return strconv.FormatUint(m.revision+by, 10)
	})
}

// hide puts the words in.
func (m *masks) hide(text string) string {
	for word, value := range m.words {
		text = strings.ReplaceAll(text, value, word)
	}
	return text
}

// answer masks a body. A tenant that was created is called by its slug from then on.
func (m *masks) answer(t *testing.T, call string, status int, body string) string {
	t.Helper()
	if call == "POST /v1/tenants" && status == 201 {
		var made struct{ ID, Slug string }
		if err := json.Unmarshal([]byte(body), &made); err != nil || !idForm.MatchString(made.ID) {
			t.Fatalf("%s is not a tenant, or its id has not the form of one: %v", body, err)
		}
		m.words["{"+made.Slug+"}"] = made.ID
	}
	if strings.HasPrefix(call, callForChanges) && status == 200 {
		return m.changes(t, body)
	}
	if call == "GET /v1/tenants/active?service=ledger" && status == 200 {
		m.list(t, body)
	}
	body = timeField.ReplaceAllStringFunc(body, func(field string) string {
		parts := timeField.FindStringSubmatch(field)
		if !instant.MatchString(parts[2]) {
			t.Errorf("%s is not a time in %s", field, body)
		}
		return `"` + parts[1] + `":"{time}"`
	})
	return m.hide(body)
}

// event masks an event, which comes once, and whose revision is the next.
func (m *masks) event(t *testing.T, data string) string {
	t.Helper()
	head, tail := eventHead.FindStringSubmatch(data), eventTail.FindStringSubmatch(data)
	if head == nil || tail == nil {
		t.Errorf("an event has to begin with its id, type, time and tenant, and ours end with a version: %s", data)
		return data
	}
	revision, err := strconv.ParseUint(tail[2], 10, 64)
	switch {
	case !uuid7.MatchString(head[1]) || m.seen[head[1]]:
		t.Errorf("event_id %q is not a new UUID of version 7", head[1])
	case !micros.MatchString(head[2]):
		t.Errorf("timestamp %q has no microseconds, or is not in UTC", head[2])
	case err != nil || m.revision > 0 && revision != m.revision+1:
		t.Errorf("revision %s after %d, %v", tail[2], m.revision, err)
	case m.epoch != "" && m.epoch != tail[1]:
		t.Errorf("epoch %s after %s", tail[1], m.epoch)
	}
	m.seen[head[1]], m.revision, m.epoch = true, revision, tail[1]
	return m.hideEvent(data, head, tail)
}

func (m *masks) hideEvent(data string, head, tail []string) string {
	data = strings.Replace(data, head[1], "{event id}", 1)
	data = strings.Replace(data, head[2], "{time}", 1)
	data = strings.ReplaceAll(data, "/v"+tail[2]+`"`, `/v{revision}"`) // of a path to a secret
	data = strings.TrimSuffix(data, tail[0]) + `,"epoch":"{epoch}","revision":{revision}}`
	return m.hide(data)
}

const callForChanges = "GET /v1/tenants/active/changes?"

// list remembers the digest of a list.
func (m *masks) list(t *testing.T, body string) {
	t.Helper()
	var rows []tenant.Summary
	if err := json.Unmarshal([]byte(body), &rows); err != nil {
		t.Fatalf("%s is not a list: %v", body, err)
	}
	m.listed = 0
	for _, row := range rows {
		m.listed ^= tenant.IDDigest(row.ID)
	}
}

// changes masks what has changed: events that were heard, up to the last one, and the digest of the list that was read last.
func (m *masks) changes(t *testing.T, body string) string {
	t.Helper()
	var got managerapi.Changes
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%s are not changes: %v", body, err)
	}
	if digest := fmt.Sprintf("%016x", m.listed); got.Epoch != m.epoch || got.Revision != m.revision || got.Digest != digest {
		t.Errorf("%s, want %s:%d and the digest %s of the last list", body, m.epoch, m.revision, digest)
	}
	top := fmt.Sprintf(`{"epoch":%q,"revision":%d,`, got.Epoch, got.Revision)
	body = strings.Replace(body, top, `{"epoch":"{epoch}","revision":{revision},`, 1)
	body = strings.Replace(body, `"digest":"`+got.Digest+`"`, `"digest":"{digest}"`, 1)
	for _, event := range got.Events {
		head, tail := eventHead.FindStringSubmatch(string(event)), eventTail.FindStringSubmatch(string(event))
		if head == nil || tail == nil || !m.seen[head[1]] || tail[1] != m.epoch {
			t.Errorf("an event that was not heard: %s", event)
			continue
		}
		body = strings.Replace(body, string(event), m.hideEvent(string(event), head, tail), 1)
	}
	return body
}

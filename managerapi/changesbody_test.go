package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const oneChange = `{"epoch":"e","revision":7,"count":1,"digest":"00000000000000ff","events":[{"event_type":"tenant.created"}]}`

// bodies are answers, good and bad. Each is cut everywhere.
var bodies = []string{
	"", " ", "x", "[]", "[", "null", "7", `"a`, "}", "<html>", "{}", "{", oneRow, oneChange, " " + oneChange + " \n", oneChange + "x", oneChange + oneChange, "{{title}}",
	`{"events":[],"digest":"ffffffffffffffff","count":0,"revision":18446744073709551615,"epoch":"a:b"}`,
	`{ "events" : [ {"a":1} , {} ,{"b":"]}"}] , "more" : [ {"events":[7]} ] , "epoch":"\u0065", "revision":0,"count":2 , "digest":"0123456789abcdef" , "x":null}`,
	`{"ep\u006fch":"e","revision":7,"count":1,"digest":"00000000000000ff","events":[]}`,
	`{"Epoch":"e","revision":7,"count":1,"digest":"00000000000000ff","events":[]}`,
	`{"epoch":"e","epoch":"f","revision":7,"count":1,"digest":"00000000000000ff","events":[]}`,
	`{"epoch":"e","revision":7,"count":1,"digest":"00000000000000ff","events":[],"events":[]}`,
	`{"epoch":"","revision":7,"count":1,"digest":"00000000000000ff","events":[]}`, `{"epoch":7,"revision":7`, `{"epoch":"e","revision":-1,`, `{"epoch":"e","revision":1.5,`,
	`{"revision":18446744073709551616,`, `{"revision":"7",`, `{"count":-1,`, `{"count":1e3,`, `{"count":null,`, `{"digest":"ff",`, `{"digest":"00000000000000fg",`, `{"digest":7,`, `{"digest":"+0000000000000ff",`,
	`{"events":{},`, `{"events":null,`, `{"events":"x`, `{"events":[7],`, `{"events":[null],`, `{"events":[[]],`, `{"events":[{},],`, `{"events":[{} {}],`, `{"events":[,{}],`, `{"events":[{"a":1,}],`, `{"events":[{"a":tru}`,
	`{"a":1,}`, `{,"a":1}`, `{"a" 1}`, `{"a":1 "b":2}`, `{7:1}`, `{a:1}`, `{"a"`, `{"a":"` + "\n" + `"}`, `{"x":12`, `{"x":1 `, `{"x":-`,
	`{"epoch":"e","revision":7,"count":1,"digest":"00000000000000FF","events":[{"deep":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `},{"b":1}]}`,
	`{"digest":"00000000000000ff","events":[{"a":"` + strings.Repeat("long ", 30) + `"}],"a-long-unknown-field":"` + strings.Repeat("x", 100) + `","count":1,"revision":7,"epoch":"e"}`,
}

// told is what a reading gave. Events count only where there is no error.
type told struct {
	out    tenant.Changes
	events []string
	err    string
}

func tell(decode func(io.Reader, func([]byte)) (tenant.Changes, error), from io.Reader) (h told) {
	var err error
	h.out, err = decode(from, func(event []byte) { h.events = append(h.events, string(event)) })
	switch {
	case err == nil:
		return h
	case errors.Is(err, errNoChanges), err.Error() == "the JSON is cut short", err.Error() == "the JSON cannot be decoded":
		return told{err: "not all of it, or wrong"} // what is wrong may be seen before it is whole
	}
	return told{err: err.Error()}
}

// statedChanges is the stated reading, which decodeChanges has to agree with: the tokens of json.Decoder.
func statedChanges(from io.Reader, each func([]byte)) (out tenant.Changes, err error) {
	dec := json.NewDecoder(&statedGaps{from: from})
	fail := func(err error) (tenant.Changes, error) {
		if _, ok := errors.AsType[*json.SyntaxError](err); ok || err == nil {
			return tenant.Changes{}, errNoChanges
		}
		return tenant.Changes{}, reason(err)
	}
	if first, err := dec.Token(); errors.Is(err, io.EOF) {
		return fail(nil)
	} else if err != nil || first != json.Delim('{') {
		return fail(err)
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return fail(err)
		}
		name := token.(string)
		if seen[name] {
			return tenant.Changes{}, errNoChanges
		}
		known := slices.Contains([]string{"epoch", "revision", "count", "digest", "events"}, name)
		seen[name] = known
		if name == "events" {
			if open, err := dec.Token(); err != nil || open != json.Delim('[') {
				return fail(err)
			}
			for dec.More() {
				var event json.RawMessage
				if err := dec.Decode(&event); err != nil {
					return fail(err)
				}
				if event[0] != '{' {
					return tenant.Changes{}, errNoChanges
				}
				each(event)
			}
			if _, err := dec.Token(); err != nil {
				return fail(err)
			}
			continue
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return fail(err)
		}
		if known && !statedTake(&out, name, value) {
			return tenant.Changes{}, errNoChanges
		}
	}
	if _, err := dec.Token(); err != nil {
		return fail(err)
	}
	for _, name := range []string{"epoch", "revision", "count", "digest", "events"} {
		if !seen[name] {
			return tenant.Changes{}, errNoChanges
		}
	}
	if err := onlySpace(io.MultiReader(dec.Buffered(), from), "object"); err != nil {
		return tenant.Changes{}, err
	}
	return out, nil
}

func statedTake(out *tenant.Changes, name string, value json.RawMessage) bool {
	var err error
	text := ""
	if isText := value[0] == '"'; isText != (name == "epoch" || name == "digest") || isText && json.Unmarshal(value, &text) != nil {
		return false
	}
	switch name {
	case "epoch":
		out.Version.Epoch = text
		return text != ""
	case "digest":
		if len(text) != 16 {
			return false
		}
		out.Digest, err = strconv.ParseUint(text, 16, 64)
	case "revision":
		err = json.Unmarshal(value, &out.Version.Revision)
		return err == nil && value[0] != 'n'
	case "count":
		err = json.Unmarshal(value, &out.Count)
		return err == nil && value[0] != 'n' && out.Count >= 0
	}
	return err == nil
}

func sameChanges(t *testing.T, how pieces, rooms ...int) {
	t.Helper()
	stated := how
	want := tell(statedChanges, &stated)
	for _, room := range rooms {
		ours := how
		got := tell(func(from io.Reader, each func([]byte)) (tenant.Changes, error) {
			return decodeChangesIn(make([]byte, room), from, each)
		}, &ours)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%.300q in pieces of %d, then %v (with the last: %t), in %d bytes:\ngot  %+v\nwant %+v", how.data, how.sizes, how.end, how.early, room, got, want)
		}
	}
}

// An answer that is cut anywhere, in whatever pieces it comes and whatever ends it, is read as by encoding/json.
func TestChangesAreReadAsByEncodingJSON(t *testing.T) {
	for _, body := range bodies {
		for end := range len(body) + 1 {
			for _, how := range []pieces{
				{end: io.EOF},
				{end: io.EOF, early: true},
				{end: io.EOF, sizes: []byte{1}},
				{end: io.ErrUnexpectedEOF, sizes: []byte{7, 0, 2}},
				{end: errBroken, early: true},
			} {
				how.data = []byte(body[:end])
				sameChanges(t, how, 1, 7, rowsBytes)
			}
		}
	}
}

// What is cut is told from what is another body.
func TestChangesThatAreCutAreNotAnotherBody(t *testing.T) {
	for _, body := range bodies {
		whole := tell(decodeChanges, strings.NewReader(body)).err == ""
		for end := range len(body) {
			_, err := decodeChanges(strings.NewReader(body[:end]), func([]byte) {})
			if cut := err != nil && err.Error() == "the JSON is cut short"; whole && strings.TrimSpace(body[:end]) != "" && err != nil && !cut {
				t.Errorf("%.100s: %v", body[:end], err)
			}
		}
		if _, err := decodeChanges(strings.NewReader(body), func([]byte) {}); !whole && json.Valid([]byte(body)) && !errors.Is(err, errNoChanges) {
			t.Errorf("%.100s: %v", body, err)
		}
	}
}

func FuzzChangesAgree(f *testing.F) {
	for i, body := range bodies {
		f.Add([]byte(body), []byte{byte(i), 3}, uint16(i), i%3 == 0)
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte, room uint16, early bool) {
		if !bytes.ContainsFunc(sizes, func(c rune) bool { return c != 0 }) {
			sizes = nil // nothing but zeros gives nothing for ever
		}
		end := []error{io.EOF, io.ErrUnexpectedEOF, errBroken}[int(room)%3]
		sameChanges(t, pieces{data: data, sizes: sizes, end: end, early: early}, int(room)%300+1, rowsBytes)
	})
}

// changesOf is an answer with these events.
func changesOf(events ...string) string {
	return `{"epoch":"e","events":[` + strings.Join(events, ",") + `],"revision":7,"count":1,"digest":"00000000000000ff"}`
}

func TestChangesHaveABound(t *testing.T) {
	const head, tail = `{"x":"`, `"}`
	largest := head + strings.Repeat("x", tenant.MaxEventBytes-len(head)-len(tail)) + tail
	for _, tt := range []struct {
		name, body string
		events     int
		want       error
	}{
		{"the largest event", changesOf(`{}`, largest, `{}`), 3, nil},
		{"a larger one", changesOf(`{}`, largest[:len(largest)-2]+"y"+tail), 1, errLargeChanges},
		{"one that does not end", `{"events":[` + largest[:len(largest)-2] + strings.Repeat("x", rowsBytes), 0, errLargeChanges},
		{"as many as there may be", changesOf(slices.Repeat([]string{"{}"}, tenant.MaxChanges)...), tenant.MaxChanges, nil},
		{"one more", changesOf(slices.Repeat([]string{"{}"}, tenant.MaxChanges+1)...), tenant.MaxChanges, errLargeChanges},
		{"endless white space", `{"epoch":` + strings.Repeat(" ", 4*maxGap), 0, errGap},
	} {
		events := 0
		_, err := decodeChanges(strings.NewReader(tt.body), func([]byte) { events++ })
		if events != tt.events || !errors.Is(err, tt.want) {
			t.Errorf("%s: %d events, %v", tt.name, events, err)
		}
	}
}

func TestEventsAreGivenAsTheyArrive(t *testing.T) {
	for body, want := range map[string]int{`{"events":[{},{"a":1}`: 2, `{"events":[{},7`: 1, `{"events":[{}x`: 1} {
		events, before := 0, -1
		_, err := decodeChanges(io.MultiReader(strings.NewReader(body), readerFunc(func([]byte) (int, error) {
			before = events
			return 0, io.EOF
		})), func([]byte) { events++ })
		if events != want || err == nil || before > want {
			t.Errorf("%s: %d events, %d before the next reading, %v", body, events, before, err)
		}
	}
}

func TestEventsAllocateNothing(t *testing.T) {
	const event = `{"event_id":"0b6f5d0c","event_type":"tenant.service.associated","tenant_id":"acme","payload":{"service_name":"Müller & Söhne","modules":["\u00e9"]},"revision":7}`
	many := []byte(changesOf(slices.Repeat([]string{event}, tenant.MaxChanges)...))
	events := 0
	allocations := testing.AllocsPerRun(5, func() {
		if _, err := decodeChanges(bytes.NewReader(many), func(data []byte) { events += len(data) / len(event) }); err != nil {
			t.Error(err)
		}
	})
	if events != 6*tenant.MaxChanges || allocations > 40 {
		t.Errorf("%.0f allocations for %d events", allocations, events/6)
	}
}

func BenchmarkChanges(b *testing.B) {
	event := fmt.Sprintf(`{"event_id":"0b6f5d0c","event_type":"tenant.service.associated","tenant_id":"acme","payload":{"service_name":%q}}`, strings.Repeat("x", 300))
	many := []byte(changesOf(slices.Repeat([]string{event}, tenant.MaxChanges)...))
	b.SetBytes(int64(len(many)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeChanges(bytes.NewReader(many), func([]byte) {}); err != nil {
			b.Fatal(err)
		}
	}
}

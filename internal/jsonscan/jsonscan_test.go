package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

type pair struct{ Name, Value string }

// scanned is what the package reads: the members, and how it ended.
func scanned(data []byte) (pairs []pair, end int) {
	o := Open(data)
	for o.Next() {
		pairs = append(pairs, pair{string(o.Name), string(o.Value)})
	}
	return pairs, o.End()
}

// decoded is what encoding/json reads: the members of the object that the data begins with, and where that ends. It fails
// where there is no object.
func decoded(data []byte) (pairs []pair, end int, err error) {
	var whole json.RawMessage
	outer := json.NewDecoder(bytes.NewReader(data))
	if err := outer.Decode(&whole); err != nil {
		return nil, 0, err
	}
	if whole[0] != '{' {
		return nil, 0, errors.New("not an object")
	}
	dec := json.NewDecoder(bytes.NewReader(whole))
	if _, err := dec.Token(); err != nil {
		return nil, 0, err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, 0, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, 0, err
		}
		pairs = append(pairs, pair{name.(string), string(value)})
	}
	return pairs, int(outer.InputOffset()), nil
}

// depth is how many arrays and objects are in one another, at most.
func depth(data []byte) (most int) {
	dec, now := json.NewDecoder(bytes.NewReader(data)), 0
	for {
		token, err := dec.Token()
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
		case json.Delim('}'), json.Delim(']'):
			now--
		}
		if most = max(most, now); err != nil || now == 0 {
			return most
		}
	}
}

// agree checks all that the package promises about some bytes.
func agree(t *testing.T, data []byte) {
	t.Helper()
	before := bytes.Clone(data)
	got, end := scanned(data)
	want, wantEnd, err := decoded(data)
	switch {
	case err == nil && depth(data) > MaxDepth+1:
		if end != Odd {
			t.Errorf("%.200q is too deep and ends at %d", data, end)
		}
	case err == nil:
		if end != wantEnd || !reflect.DeepEqual(unescaped(got), want) {
			t.Errorf("%.200q\ngot  %q to %d\nwant %q to %d", data, got, end, want, wantEnd)
		}
	case end >= 0 || end == Cut && !isCut(err):
		t.Errorf("%.200q ends at %d: %v", data, end, err)
	case end == Odd && isCut(err) && beginsAnObject(data) && depth(data) <= MaxDepth+1:
		t.Errorf("%.200q is odd, and only cut for encoding/json", data)
	}
	for _, p := range got {
		agreeOnText(t, p.Value)
	}
	if !bytes.Equal(data, before) {
		t.Errorf("%.200q became %.200q", before, data)
	}
}

// agreeOnText checks what String says of a value that may not be whole: then it must not break.
func agreeOnText(t *testing.T, value string) {
	t.Helper()
	got, ok := String([]byte(value))
	var want any
	if json.Unmarshal([]byte(value), &want) != nil {
		return
	}
	if text, isText := want.(string); string(got) != text || ok != isText {
		t.Errorf("%.200q says %.200q, %t, want %.200q, %t", value, got, ok, text, isText)
	}
}

// isCut reports whether encoding/json found nothing wrong before the end.
func isCut(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

func beginsAnObject(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) == 0 || data[0] == '{'
}

// unescaped has the names as encoding/json reads them.
func unescaped(pairs []pair) (out []pair) {
	for _, p := range pairs {
		var name string
		if json.Unmarshal([]byte(`"`+p.Name+`"`), &name) != nil {
			name = "a name that is no string: " + p.Name
		}
		out = append(out, pair{name, p.Value})
	}
	return out
}

// objects are well-formed.
var objects = []string{
	`{}`, ` { } `, "\t\r\n{\t\r\n}\t\r\n", `{"a":1}`, `{"":""}`, ` { "a" : 1 , "b" : 2 } x`, `{"a":1}{`, `{}}`,
	`{"a":0,"b":-0,"c":-1,"d":10,"e":0.5,"f":1.25,"g":1e5,"h":1E+5,"i":-1.5e-05,"j":0e0}`,
	`{"a":true,"b":false,"c":null,"d":[],"e":{},"f":[1,"2",[3],{"g":[]}],"h":{"i":{"j":"}"}}}`,
	`{"a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00\ud800"}`, `{"a":"\\"}`, `{"a":"\\\""}`, `{"a":"]},\"x\":"}`,
	`{"\u0061":1,"\"":2,"a\\":3}`, `{"a":1,"a":2,"A":3}`, `{"é":"ελλ€","a":"` + "\xff\xc3" + `","` + "\xff" + `":1}`,
	"{\"a\":\"\x7f\u0080\u2028\"}", `{"a":[ ]}`, `{"a":[ 1 , 2 ]}`, `{"a":{ }}`, `{"a":"12345678","b":"1234567","c":"123456789012345"}`,
	`{"a":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`,
	strings.Repeat(`{"a":`, MaxDepth+1) + "1" + strings.Repeat("}", MaxDepth+1),
	strings.Repeat(`{"a":`, MaxDepth+2) + "1" + strings.Repeat("}", MaxDepth+2),
	`{"a":` + strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1) + `}`,
	`{"a":[` + strings.Repeat("[[]],", MaxDepth+2) + `0]}`,
}

// odd are not.
var odd = []string{
	`x`, `[]`, `7`, `"a"`, `null`, `}`, `{]`, `{a:1}`, `{'a':1}`, `{"a"}`, `{"a",1}`, `{"a"=1}`, `{"a":}`, `{"a":,}`, `{"a":1,}`, `{,}`, `{,"a":1}`,
	`{"a":1 "b":2}`, `{"a":1;"b":2}`, `{"a":1]`, `{"a":[1}`, `{"a":[1,]}`, `{"a":[,1]}`, `{"a":[,]}`, `{"a":[1 2]}`, `{"a":{"b":1]}`, `{"a":{"b":1,}}`,
	`{"a":{"b"}}`, `{"a":{1:2}}`, `{"a":{,}}`, `{"a":01}`, `{"a":-}`, `{"a":-a}`, `{"a":-01}`, `{"a":+1}`, `{"a":.5}`, `{"a":1.}`, `{"a":1.e5}`, `{"a":1e}`,
	`{"a":1e+}`, `{"a":1ee5}`, `{"a":1.5.5}`, `{"a":0x10}`, `{"a":1_000}`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":tru}`, `{"a":True}`, `{"a":truex}`,
	`{"a":nul}`, `{"a":fals}`, `{"a":falsy}`, `{"a":undefined}`, `{"a":"\a"}`, `{"a":"\u12g4"}`, `{"a":"\u12"}`, `{"a":"\u00:0"}`, `{"a":"\u@000"}`, `{"a":"\u000` + "`" + `"}`,
	`{"a":"\U0041"}`, `{"a":"\x41"}`, `{"a":"\0"}`, `{"a":"\'"}`, "{\"a\":\"\x00\"}", "{\"a\":\"\n\"}", "{\"a\":\"\x1f\"}", "{\"a\":\"1234567\x1f\"}",
	"{\"a\":\"\x011234567890\"}", "{\"\x01\":1}", "{\"\\x\":1}", "\x00{}", "\xef\xbb\xbf{}", "\u00a0{}", "{\u00a0}", "\v{}", "\f{}", "{\"a\":\x001}", `{"a":/**/1}`, `//`,
	"{\"a\":1\x00}", `{"a" "b"}`, `{"a"::1}`, `{{}}`, `{[]}`, `{"a":(1)}`,
}

func TestObjectsAreReadAsByEncodingJSON(t *testing.T) {
	for _, data := range objects {
		if _, _, err := decoded([]byte(data)); err != nil {
			t.Errorf("%.200q is not an object: %v", data, err)
		}
		agree(t, []byte(data))
	}
	for _, data := range odd {
		if _, end := scanned([]byte(data)); end != Odd {
			t.Errorf("%q ends at %d, want Odd", data, end)
		}
		agree(t, []byte(data))
	}
}

// Wherever an object is cut, and at whatever place of a word of eight bytes its parts are.
func TestObjectsThatAreCut(t *testing.T) {
	for _, data := range append(objects, odd...) {
		for indent := range 9 {
			shifted := []byte(strings.Repeat(" ", indent) + data)
			for end := range shifted {
				agree(t, shifted[:end])
			}
		}
	}
}

// Each byte, at each place of a short and of a long string, of a name, and anywhere else.
func TestEachByteAtEachPlace(t *testing.T) {
	const of = `{"name":"a string that is longer than two words","b":[-1.5e7,true,null,{"c":"\u00e9\n"}], "d" : 0 }`
	for at := range len(of) {
		for c := range 256 {
			data := []byte(of)
			data[at] = byte(c)
			agree(t, data)
		}
	}
}

func FuzzObject(f *testing.F) {
	for _, data := range append(objects, odd...) {
		f.Add([]byte(data))
	}
	f.Fuzz(agree)
}

func TestEndIsTheSameHoweverOftenOneAsks(t *testing.T) {
	for _, data := range []string{`{}`, `{"a":1}`, `{"a":1`, `{"a":1]`, ``, `x`} {
		o := Open([]byte(data))
		for o.Next() {
		}
		end := o.End()
		for range 3 {
			if o.Next() || o.End() != end {
				t.Errorf("%q: it goes on behind %d, to %d", data, end, o.End())
			}
		}
	}
}

func TestString(t *testing.T) {
	for _, tt := range []struct {
		value, want string
		ok, lent    bool
	}{
		{`""`, "", true, true},
		{`"acme"`, "acme", true, true},
		{`"é ελλ€"`, "é ελλ€", true, true},
		{`"a name that is ASCII and longer than two words"`, "a name that is ASCII and longer than two words", true, true},
		{`"a\u0062\n"`, "ab\n", true, false},
		{`"\""`, `"`, true, false},
		{`"\ud800"`, "\ufffd", true, false},
		{"\"a\xff\"", "a\ufffd", true, false},
		{`null`, "", false, false},
		{`7`, "", false, false},
		{`["a"]`, "", false, false},
		{`{"a":"b"}`, "", false, false},
		{``, "", false, false},
		{`"`, "", false, false},
	} {
		value := []byte(tt.value)
		got, ok := String(value)
		if string(got) != tt.want || ok != tt.ok {
			t.Errorf("%s: got %q, %t, want %q, %t", tt.value, got, ok, tt.want, tt.ok)
		}
		if lent := ok && cap(got) == len(got) && (len(got) == 0 || &got[0] == &value[1]); lent != tt.lent {
			t.Errorf("%s: it is a part of the value: %t, want %t", tt.value, lent, tt.lent)
		}
	}
}

func TestEscaped(t *testing.T) {
	for name, want := range map[string]bool{"": false, "id": false, `\u0069d`: true, `id\n`: true, "é/": false} {
		if got := Escaped([]byte(name)); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	data := []byte(typical)
	if n := testing.AllocsPerRun(100, func() {
		o := Open(data)
		for o.Next() {
			if Escaped(o.Name) {
				t.Error("escaped")
			}
			_, _ = String(o.Value)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// typical is an event of about 400 bytes.
const typical = `{"event_id":"0b6f5d0c-7a3c-4e0f-8a3b-5c6d7e8f9012","event_type":"tenant.service.associated","timestamp":"2026-03-27T14:45:00.123456Z",` +
	`"tenant_id":"6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012","tenant_slug":"acme-inc","environment":"staging","payload":{"service_name":"ledger",` +
	`"isolation_mode":"schema","modules":["onboarding","transaction"],"connection_settings":{"max_open_conns":25,"max_idle_conns":5}},"revision":1234567}`

func BenchmarkObject(b *testing.B) {
	data := []byte(typical)
	b.Run("jsonscan", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			o := Open(data)
			for o.Next() {
			}
			if o.End() != len(data) {
				b.Fatal(o.End())
			}
		}
	})
	b.Run("json.Valid", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if !json.Valid(data) {
				b.Fatal("not valid")
			}
		}
	})
}

package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// pieces gives data in pieces of some sizes, one after the other and again from the first, and then an error, always the same one.
type pieces struct {
	data  []byte
	sizes []byte // none: as much as there is room for; 0: nothing at all, this time
	at    int
	end   error
	early bool // the error comes with the last bytes
}

func (p *pieces) Read(into []byte) (int, error) {
	n := min(len(into), len(p.data))
	if len(p.sizes) > 0 {
		n = min(n, int(p.sizes[p.at%len(p.sizes)]))
		p.at++
	}
	if len(p.data) == 0 {
		return 0, p.end
	}
	copy(into, p.data[:n])
	if p.data = p.data[n:]; len(p.data) == 0 && p.early {
		return n, p.end
	}
	return n, nil
}

// given is what a reading of a list gave, each row copied, and its error.
type given struct {
	rows []string
	err  string
}

func read(decode func(io.Reader, func(*tenant.Row)) error, from io.Reader) (g given) {
	err := decode(from, func(row *tenant.Row) {
		if row == nil {
			g.rows = append(g.rows, "null")
			return
		}
		g.rows = append(g.rows, fmt.Sprintf("%q %q %q", row.ID, row.Name, row.Status))
		for _, lent := range [][]byte{row.ID, row.Name, row.Status} { // whoever is lent something may write into it
			clear(append(lent, "xx"...))
			clear(lent)
		}
	})
	if err != nil {
		g.err = err.Error()
	}
	return g
}

// inRoom is decodeRows in a buffer of so many bytes.
func inRoom(size int) func(io.Reader, func(*tenant.Row)) error {
	return func(from io.Reader, each func(*tenant.Row)) error {
		return decodeRowsIn(make([]byte, size), from, each)
	}
}

var errBroken = errors.New("broken")

// lists are bodies, good and bad. Each is cut everywhere.
var lists = []string{
	"", " ", "[]", " [ ] \n", "null", "7", "x", `"a"`, `"a`, "{}", `{"id":1}`, "]", "}", ",", ":", "tru", "\xef\xbb\xbf[]", "\x00", "[[", "[[]]", " \n x", " \n ]",
	oneRow, oneRow + "x", oneRow + "[]", oneRow + " \t\r\n", oneRow + " ]", "[] x", "[],", "[]]",
	"[null]", "[null,null , null]", "[ null ]", "[nullx]", "[null null]", "[nul]", "[null}", "[n]", "[,]", "[ ,]", "[}", "[ }", "[:]",
	"[{}]", "[{},]", "[{} , ]", "[{},,{}]", "[{}}", "[{} }", "[{} {}]", "[{}x", "[{}:", "[{}{", "[{},}", "[{},x]", "[{},7]", "[{},7", `[{},"a"]`, "[{},[]]", "[7]", "[7", `["a"]`, "[true]",
	`[{"id":"a"},{"id":"b","name":"B"}  ,  null,{"status":"s"}]`,
	`[{"id":"a","id":7}]`, `[{"id":7,"id":"a"}]`, `[{"id":"a","name":"n","name":7}]`, `[{"name":7,"name":"n"}]`, `[{"status":null,"id":"a"}]`, `[{"id":"a","status":{"id":"b"}}]`,
	`[{"id":"a"},{"id":null},{"name":"only"},{"id":"c"}]`, `[{"ID":"a","Name":"n","STATUS":"s"}]`, `[{"id":"a","x":[1,{"id":"b"}],"y":"}]"}]`,
	`[{"\u0069d":"a","n\u0061me":"n"},{"id":"b"}]`, `[{"id":"a\u0062","name":"\ud800","status":"\"\\"}]`, "[{\"id\":\"a\xff\",\"name\":\"é\",\"\xff\":1}]",
	`[{"id":"a"},{"id":"b" "c"}]`, `[{"id":"a"},{"id":"\x"}]`, "[{\"id\":\"a\"} , \n {\"id\":\"\n\"}]", `[{"id":"a"}, {"id":01}]`, `[null, {"id":nul}]`, `[{"id":"a"},` + "\v" + `{}]`,
	`[{"id":"deep","x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `},{"id":"b"},null,{"id":"deep"` + strings.Repeat(`,"x":{"x":1}`, 3) + `,"x":` + strings.Repeat(`{"y":`, 70) + "1" + strings.Repeat("}", 70) + `} , {"id":"c"}x`,
	`[{"id":"a-long-unknown-field","` + strings.Repeat("x", 100) + `":1},{"id":"b"}]`,
}

// A list that is cut anywhere, in whatever pieces it comes and whatever ends it, is read as by encoding/json.
func TestRowsAreReadAsByEncodingJSON(t *testing.T) {
	for _, list := range lists {
		for end := range len(list) + 1 {
			for _, how := range []pieces{
				{end: io.EOF},
				{end: io.EOF, early: true},
				{end: io.EOF, sizes: []byte{1}},
				{end: io.ErrUnexpectedEOF},
				{end: io.ErrUnexpectedEOF, sizes: []byte{7, 0, 2}},
				{end: errBroken, early: true},
			} {
				how.data = []byte(list[:end])
				sameRows(t, how, 1, 2, 7, 16, 40, rowsBytes)
			}
		}
	}
}

// Each byte where a row, a comma or the end may be.
func TestEachByteBetweenRows(t *testing.T) {
	for _, before := range []string{"", "[", "[ ", "[{}", "[{} ", "[{},", "[{}, ", "[null", "[null,", "[{},null", "[]"} {
		for c := range 256 {
			for _, after := range []string{"", " ", "{}]", "null]", "]"} {
				sameRows(t, pieces{data: []byte(before + string([]byte{byte(c)}) + after), end: io.EOF}, 16, rowsBytes)
			}
		}
	}
}

func sameRows(t *testing.T, how pieces, rooms ...int) {
	t.Helper()
	stated := how
	want := read(statedRows, &stated)
	for _, room := range rooms {
		ours := how
		if got := read(inRoom(room), &ours); !reflect.DeepEqual(got, want) {
			t.Errorf("%.300q in pieces of %d, then %v (with the last: %t), in %d bytes:\ngot  %q\nwant %q", how.data, how.sizes, how.end, how.early, room, got, want)
		}
	}
}

// FuzzRowsAgree: whatever comes in, in whatever pieces, into however small a buffer, decodeRows does what the loop over
// json.Decoder does.
func FuzzRowsAgree(f *testing.F) {
	for i, list := range lists {
		f.Add([]byte(list), []byte{byte(i), 3}, uint16(i), i%3 == 0)
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte, room uint16, early bool) {
		if !bytes.ContainsFunc(sizes, func(c rune) bool { return c != 0 }) {
			sizes = nil // nothing but zeros gives nothing for ever
		}
		end := []error{io.EOF, io.ErrUnexpectedEOF, errBroken}[int(room)%3]
		sameRows(t, pieces{data: data, sizes: sizes, end: end, early: early}, int(room)%300+1, rowsBytes)
	})
}

// Rows that are longer than the buffer, one after the other and with others between them, however they come.
func TestLongRows(t *testing.T) {
	long := func(n int) string { return fmt.Sprintf(`{"id":"long-%d","x":%q}`, n, strings.Repeat("x", n)) }
	list := `[{"id":"a"}`
	for _, n := range []int{rowsBytes - 30, rowsBytes - 20, rowsBytes - 19, rowsBytes - 18, rowsBytes, 3 * rowsBytes, 10} {
		list += "," + long(n) + ` , null,{"id":"b"},` + long(n)
	}
	for _, tail := range []string{"]", "] \n", "", "x", ",]", "] x", `,{"id":"\x"}]`} {
		for _, how := range []pieces{{end: io.EOF}, {end: errBroken, early: true, sizes: []byte{255}}} {
			how.data = []byte(list + tail)
			sameRows(t, how, 16, 100, rowsBytes)
		}
	}
}

// White space behind the array may be as long as the body may; between rows it may not.
func TestLongWhiteSpace(t *testing.T) {
	for _, list := range []string{"[%s]", "[{},%s{}]", "[{}%s]", "[]%s", "[{}]%sx", "%s[]"} {
		sameRows(t, pieces{data: fmt.Appendf(nil, list, strings.Repeat(" ", 4*maxGap)), end: io.EOF}, 100, rowsBytes)
	}
}

// What is wrong, or odd, is found as soon as it is there, and not when more of the body has come.
func TestOddRowsAreNotWaitedFor(t *testing.T) {
	for list, want := range map[string]int{
		`[{"id":"a"},{"id":x`: 1, `[{"id":"a"},7}`: 1, `[{"id":"a"},{"\u0069d":"b"}`: 2, `[{"id":"a"}}`: 1, `[{"id":"a"}`: 1, `[null,`: 1,
		`[{"x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`: 1,
	} {
		rows, before := 0, -1
		err := decodeRows(io.MultiReader(strings.NewReader(list), readerFunc(func([]byte) (int, error) {
			before = rows
			return 0, io.EOF
		})), func(*tenant.Row) { rows++ })
		readOn := strings.HasSuffix(fmt.Sprint(err), "cut short") // nothing else is found at the end
		if rows != want || readOn != (before >= 0) || readOn && before != want {
			t.Errorf("%.40s: %d rows and %v; %d of them before the next reading", list, rows, err, before)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// The bytes of a row are those of the buffer, unless something in it is odd.
func TestRowsAllocateNothing(t *testing.T) {
	for name, list := range map[string]string{
		"plain":               `{"id":"6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012","name":"Müller & Söhne","status":"active"}`,
		"with unknown fields": `{"id":"acme","a name that is longer than thirty-two bytes":[1,2,{"x":"\u00e9"}],"status":"active","y":null}`,
		"null":                `null`,
		"of no use":           `{"id":7}`,
	} {
		many := []byte("[" + strings.Repeat(list+",", 10_000) + "{}]")
		rows := 0
		allocations := testing.AllocsPerRun(5, func() {
			if err := decodeRows(bytes.NewReader(many), func(*tenant.Row) { rows++ }); err != nil {
				t.Error(err)
			}
		})
		if rows != 6*10_001 || allocations > 40 {
			t.Errorf("%s: %.0f allocations for %d rows", name, allocations, rows/6)
		}
	}
}

// listOf is a list of so many tenants, about 100 bytes for each.
func listOf(n int) []byte {
	list := []byte("[")
	for i := range n {
		list = fmt.Appendf(list, `{"id":"%08x-4b7d-4e0f-8a3b-5c6d7e8f9012","name":"Tenant number %d","status":"active"},`, i, i)
	}
	return append(list[:len(list)-1], ']')
}

func BenchmarkList(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		list := listOf(n)
		for _, way := range []struct {
			name string
			run  func() (rows int, err error)
		}{
			{"decodeRows", func() (rows int, err error) {
				err = decodeRows(bytes.NewReader(list), func(*tenant.Row) { rows++ })
				return rows, err
			}},
			{"by hand", func() (int, error) {
				var rows []*tenant.Summary
				err := json.Unmarshal(list, &rows)
				return len(rows), err
			}},
			{"json.Decoder", func() (rows int, err error) {
				err = statedRows(bytes.NewReader(list), func(*tenant.Row) { rows++ })
				return rows, err
			}},
			{"json.Valid", func() (int, error) {
				if !json.Valid(list) {
					return 0, errors.New("not valid")
				}
				return n, nil
			}},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, way.name), func(b *testing.B) {
				b.SetBytes(int64(len(list)))
				b.ReportAllocs()
				for b.Loop() {
					if rows, err := way.run(); err != nil || rows != n {
						b.Fatal(rows, err)
					}
				}
			})
		}
	}
}

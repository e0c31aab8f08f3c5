package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// statedRows is the stated reading of a list, which [decodeRows] has to agree with: a loop over json.Decoder. It reads the whole body, which must be one JSON array of objects and nulls, and calls each as rows arrive. The
// row is nil for null; otherwise it is overwritten with the next one.
func statedRows(from io.Reader, each func(row *tenant.Row)) error {
	dec := json.NewDecoder(&statedGaps{from: from})
	if first, err := dec.Token(); errors.Is(err, io.EOF) {
		return errors.New("the body is empty")
	} else if err != nil {
		return reason(err)
	} else if first != json.Delim('[') {
		return errors.New("the body is not a JSON array")
	}
	var buffer statedRow
	for dec.More() {
		row := &buffer
		if err := dec.Decode(&row); err != nil {
			return reason(err)
		}
		if row == nil {
			each(nil)
		} else {
			each((*tenant.Row)(row))
		}
	}
	if _, err := dec.Token(); err != nil {
		return reason(err)
	}
	return onlySpace(io.MultiReader(dec.Buffered(), from), "array")
}

// statedGaps fails in a run of white space that is longer than maxGap.
type statedGaps struct {
	from io.Reader
	run  int
}

func (r *statedGaps) Read(p []byte) (int, error) {
	if r.run > maxGap {
		return 0, errGap
	}
	n, err := r.from.Read(p)
	tail := n - len(bytes.TrimRight(p[:n], whiteSpace))
	if tail < n {
		r.run = 0
	}
	r.run += tail
	return n, err
}

// statedRow is a row of the list as it is read from the wire: each field for itself, so that one of a wrong type spoils no
// other, and by its exact name.
type statedRow tenant.Row

// UnmarshalJSON reads a row. A name that is not a string is left empty. Without an id or a status that can be read the
// row is of no use, and has no field at all; null is not a string.
func (r *statedRow) UnmarshalJSON(data []byte) error {
	r.clear()
	if len(data) == 0 || data[0] != '{' {
		return errNoRow
	}
	usable := true
	for rest := data[1:]; ; {
		var key, value []byte
		if key, value, rest = statedField(rest); key == nil {
			break
		}
		switch string(key) {
		case "id":
			usable = statedString(value, &r.ID) && usable
		case "status":
			usable = statedString(value, &r.Status) && usable
		case "name":
			_ = statedString(value, &r.Name) // nothing depends on it
		}
	}
	if !usable {
		r.clear()
	}
	return nil
}

func (r *statedRow) clear() { r.ID, r.Name, r.Status = r.ID[:0], r.Name[:0], r.Status[:0] }

// statedString reads a string, and reports whether the value is one.
func statedString(value []byte, field *[]byte) bool {
	*field = (*field)[:0]
	if value[0] != '"' {
		return false
	}
	*field = append(*field, statedText(value)...)
	return true
}

// statedField cuts the first field off what is left of an object, which the decoder has found to be well-formed. The key is
// nil where there is none.
func statedField(rest []byte) (key, value, after []byte) {
	rest = bytes.TrimLeft(rest, whiteSpace+",")
	if rest[0] == '}' {
		return nil, nil, nil
	}
	end := statedQuote(rest)
	key = statedText(rest[:end])
	rest = bytes.TrimLeft(rest[end:], whiteSpace+":")
	end = statedEnd(rest)
	return key, rest[:end], rest[end:]
}

// statedText returns what a JSON string says.
func statedText(quoted []byte) []byte {
	inner := quoted[1 : len(quoted)-1]
	if !bytes.ContainsFunc(inner, func(c rune) bool { return c == '\\' || c > '~' }) {
		return inner
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // the decoder has found it to be well-formed
	return []byte(s)
}

// statedEnd returns where the value ends that data begins with.
func statedEnd(data []byte) int {
	if data[0] == '"' {
		return statedQuote(data)
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i += statedQuote(data[i:]) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i // of the object around a number or a word
			}
			if depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(data)
}

// statedQuote returns where the string ends that data begins with.
func statedQuote(data []byte) int {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

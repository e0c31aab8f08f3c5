package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/tenantwatch/tenantwatch/internal/jsonscan"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// whiteSpace is what JSON takes for it.
	whiteSpace = " \t\r\n"
	// maxGap is the most white space between two rows, roughly.
	maxGap = 1 << 20
	null   = "null"
	// rowsBytes is the room for rows, and the longest row that needs no other.
	rowsBytes = 64 << 10
)

var errGap = errors.New("endless white space in the JSON")

// decodeRows reads the whole body, which must be one JSON array of objects and nulls, and calls each as rows arrive. The
// row is nil for null; otherwise it is overwritten with the next one.
//
// It agrees with a loop over json.Decoder in all that it does, to the words of its errors, and leaves to encoding/json
// what is odd: how the body begins, and each row that is not a plain object.
func decodeRows(from io.Reader, each func(row *tenant.Row)) error {
	return decodeRowsIn(make([]byte, rowsBytes), from, each)
}

func decodeRowsIn(buf []byte, from io.Reader, each func(row *tenant.Row)) error {
	gaps := &gapReader{from: from}
	dec := json.NewDecoder(gaps)
	if first, err := dec.Token(); errors.Is(err, io.EOF) {
		return errors.New("the body is empty")
	} else if err != nil {
		return reason(err)
	} else if first != json.Delim('[') {
		return errors.New("the body is not a JSON array")
	}
	r := rowReader{from: io.MultiReader(dec.Buffered(), gaps), each: each, buf: buf, before: dec.InputOffset()}
	if err := r.readAll(); err != nil {
		return reason(err)
	}
	gaps.over = true
	return onlySpace(r.rest(), "array")
}

// onlySpace reads to the end and fails on anything but white space.
func onlySpace(from io.Reader, behind string) error {
	var chunk [4096]byte
	for {
		n, err := from.Read(chunk[:])
		switch {
		case len(bytes.TrimLeft(chunk[:n], whiteSpace)) > 0:
			return errors.New("something follows the JSON " + behind)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return reason(err)
		}
	}
}

// rowReader reads the array behind its bracket.
type rowReader struct {
	from io.Reader // fails again with the same error
	err  error     // of from
	each func(row *tenant.Row)
	row  wireRow // what is lent to each

	buf        []byte
	begin, end int   // of what was read and is not used
	before     int64 // where the buffer begins in the body
	// counted are the bytes of the rows so far, and of the white space between a comma and a row: where encoding/json is in the
	// body when it finds something wrong with a row.
	counted int64
}

// readAll reads the rows, and the bracket behind them.
func (r *rowReader) readAll() error {
	for first := true; ; first = false {
		c, err := r.next()
		switch {
		case err != nil:
			return err
		case c == ']':
			r.begin++
			return nil
		case first && c == '}':
			return r.misplaced("[", c)
		case !first && c != ',':
			return r.misplaced("[{}", c)
		case !first:
			r.begin++
			behind := r.offset()
			if _, err := r.next(); err != nil {
				return err
			}
			r.counted += r.offset() - behind
		}
		if err := r.readRow(); err != nil {
			return err
		}
	}
}

// offset is where the reader is in the body.
func (r *rowReader) offset() int64 { return r.before + int64(r.begin) }

// next returns the next character that is not white space, without taking it.
func (r *rowReader) next() (byte, error) {
	for {
		if r.begin = jsonscan.SkipSpace(r.buf[:r.end], r.begin); r.begin < r.end {
			return r.buf[r.begin], nil
		}
		if !r.more() {
			return 0, r.err
		}
	}
}

// more reads on. It reports false when that is not possible: after an error, and when there is no room behind what is not used.
func (r *rowReader) more() bool {
	if r.err != nil {
		return false
	}
	copy(r.buf, r.buf[r.begin:r.end])
	r.before += int64(r.begin)
	r.begin, r.end = 0, r.end-r.begin
	if r.end == len(r.buf) {
		return false
	}
	n, err := r.from.Read(r.buf[r.end:])
	r.end += n
	r.err = err
	return n > 0 || err == nil
}

// readRow reads the row that begins here. One that is cut is looked at again when there is more of it.
func (r *rowReader) readRow() error {
	for {
		row, end := r.scanRow(r.buf[r.begin:r.end])
		switch {
		case end >= 0:
			r.begin += end
			r.counted += int64(end)
			r.each((*tenant.Row)(row))
			return nil
		case end == jsonscan.Odd || !r.more():
			return r.readOddRow()
		}
	}
}

// scanRow returns the row that the data begins with, nil for null, and where it ends. A null is cut as long as nothing follows it.
func (r *rowReader) scanRow(data []byte) (row *wireRow, end int) {
	switch begin := data[:min(len(data), len(null))]; {
	case string(begin) != null[:len(begin)]:
		return &r.row, r.row.scan(data)
	case len(data) > len(null):
		return nil, len(null)
	default:
		return nil, jsonscan.Cut
	}
}

// readOddRow is readRow by encoding/json.
func (r *rowReader) readOddRow() error {
	unread := bytes.NewReader(r.buf[r.begin:r.end])
	dec := json.NewDecoder(io.MultiReader(unread, r.from))
	row := &r.row
	if err := dec.Decode(&row); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			syntax.Offset += r.counted
		}
		return err
	}
	length := dec.InputOffset()
	r.counted += length
	if unread.Len() > 0 {
		r.begin += int(length)
	} else { // it may have read on
		r.before, r.begin, r.end = r.offset()+length, 0, 0
		r.from, r.err = io.MultiReader(dec.Buffered(), r.from), nil
	}
	r.each((*tenant.Row)(row))
	return nil
}

// misplaced is what encoding/json says of a character that is neither a comma nor the end of the array, after what is there: a
// bracket, or also a value that no character can continue.
func (r *rowReader) misplaced(after string, c byte) error {
	dec := json.NewDecoder(strings.NewReader(after + string([]byte{c})))
	_, err := dec.Token()
	for err == nil && dec.More() {
		err = dec.Decode(new(json.RawMessage))
	}
	if err == nil {
		_, err = dec.Token()
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		syntax.Offset = r.offset()
	}
	return err
}

// rest is the body from here on.
func (r *rowReader) rest() io.Reader {
	return io.MultiReader(bytes.NewReader(r.buf[r.begin:r.end]), r.from)
}

// gapReader fails in a run of white space that is longer than maxGap, which is not a list that anybody has written. It fails again
// with the first error.
type gapReader struct {
	from io.Reader
	run  int
	over bool // the array has ended: what follows is read to its end
	err  error
}

func (r *gapReader) Read(p []byte) (n int, err error) {
	if r.err == nil && r.run > maxGap && !r.over {
		r.err = errGap
	}
	if r.err != nil {
		return 0, r.err
	}
	n, r.err = r.from.Read(p)
	tail := n - len(bytes.TrimRight(p[:n], whiteSpace))
	if tail < n {
		r.run = 0
	}
	r.run += tail
	return n, r.err
}

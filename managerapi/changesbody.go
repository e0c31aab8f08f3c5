package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/tenantwatch/tenantwatch/internal/jsonscan"
	"github.com/tenantwatch/tenantwatch/tenant"
)

var (
	// errNoChanges is a body that a manager which has the call does not send.
	errNoChanges = errors.New("the body is not a list of changes")
	// errLargeChanges is one that is larger than a reader takes.
	errLargeChanges = errors.New("the changes are larger than a reader takes")
)

// decodeChanges reads the whole body, which must be one JSON object with the fields of [Changes], each of them once and in whatever order. It gives
// the events to each as they arrive. Their bytes are overwritten with those of the next one.
func decodeChanges(from io.Reader, each func(event []byte)) (tenant.Changes, error) {
	return decodeChangesIn(make([]byte, rowsBytes), from, each)
}

func decodeChangesIn(buf []byte, from io.Reader, each func(event []byte)) (tenant.Changes, error) {
	gaps := &gapReader{from: from}
	r := changesReader{from: gaps, buf: buf, each: each, seen: map[string]bool{}}
	if err := r.readAll(); err != nil {
		return tenant.Changes{}, r.reason(err)
	}
	gaps.over = true
	if err := onlySpace(io.MultiReader(bytes.NewReader(r.buf[r.begin:r.end]), r.from), "object"); err != nil {
		return tenant.Changes{}, err
	}
	return r.out, nil
}

// changesReader reads the object.
type changesReader struct {
	from io.Reader
	err  error // of from
	each func(event []byte)
	out  tenant.Changes
	seen map[string]bool // the fields that were there

	buf        []byte // grows for a large value
	begin, end int    // of what was read and is not used
	events     int
}

// reason keeps the errors that say what a body is.
func (r *changesReader) reason(err error) error {
	if errors.Is(err, errNoChanges) || errors.Is(err, errLargeChanges) {
		return err
	}
	return reason(err)
}

func (r *changesReader) readAll() error {
	switch c, err := r.next(); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it is empty", errNoChanges)
	case err != nil:
		return err
	case c != '{':
		return errNoChanges
	}
	r.begin++
	if err := r.readMembers('}', r.readMember); err != nil {
		return err
	}
	for _, name := range []string{"epoch", "revision", "count", "digest", "events"} {
		if !r.seen[name] {
			return fmt.Errorf("%w: the field %q is missing", errNoChanges, name)
		}
	}
	return nil
}

// readMembers reads what is between commas, up to the bracket that ends it.
func (r *changesReader) readMembers(end byte, read func() error) error {
	for first := true; ; first = false {
		c, err := r.next()
		switch {
		case err != nil:
			return err
		case c == end:
			r.begin++
			return nil
		case !first && c != ',':
			return errNoChanges
		case !first:
			r.begin++
		}
		if err := read(); err != nil {
			return err
		}
	}
}

// readMember reads a name, a colon and a value.
func (r *changesReader) readMember() error {
	if c, err := r.next(); err != nil {
		return err
	} else if c != '"' {
		return errNoChanges
	}
	quoted, err := r.value()
	if err != nil {
		return err
	}
	text, ok := jsonscan.String(quoted)
	name := string(text)
	if !ok || r.seen[name] {
		return errNoChanges
	}
	if isChangesField(name) {
		r.seen[name] = true
	}
	if c, err := r.next(); err != nil {
		return err
	} else if c != ':' {
		return errNoChanges
	}
	r.begin++
	if name == "events" {
		return r.readEvents()
	}
	value, err := r.value()
	if err == nil && !r.take(name, value) {
		err = fmt.Errorf("%w: the field %q has the wrong type", errNoChanges, name)
	}
	return err
}

func isChangesField(name string) bool {
	switch name {
	case "epoch", "revision", "count", "digest", "events":
		return true
	}
	return false
}

// take reads a field, and reports whether it can be one.
func (r *changesReader) take(name string, value []byte) bool {
	text, isText := jsonscan.String(value)
	var err error
	switch name {
	case "epoch":
		r.out.Version.Epoch = string(text)
		return isText && len(text) > 0
	case "digest":
		r.out.Digest, err = strconv.ParseUint(string(text), 16, 64)
		return isText && err == nil && len(text) == 16
	case "revision":
		r.out.Version.Revision, err = strconv.ParseUint(string(value), 10, 64)
	case "count":
		r.out.Count, err = strconv.Atoi(string(value))
		return err == nil && r.out.Count >= 0
	}
	return err == nil
}

func (r *changesReader) readEvents() error {
	c, err := r.next()
	switch {
	case err != nil:
		return err
	case c != '[':
		return errNoChanges
	}
	r.begin++
	return r.readMembers(']', r.readEvent)
}

func (r *changesReader) readEvent() error {
	event, err := r.value()
	switch {
	case err != nil:
		return err
	case event[0] != '{':
		return fmt.Errorf("%w: an event is not an object", errNoChanges)
	case r.events == tenant.MaxChanges:
		return fmt.Errorf("%w: there are more than %d events", errLargeChanges, tenant.MaxChanges)
	}
	r.events++
	r.each(event)
	return nil
}

// value returns the next value. Its bytes are part of the buffer.
func (r *changesReader) value() ([]byte, error) {
	if _, err := r.next(); err != nil {
		return nil, err
	}
	for {
		data := r.buf[r.begin:r.end]
		end := valueEnd(data)
		if end == len(data) && isNumber(data[0]) && !errors.Is(r.err, io.EOF) {
			end = jsonscan.Cut // there may be more of it
		}
		switch {
		case end > tenant.MaxEventBytes, end == jsonscan.Cut && len(data) > tenant.MaxEventBytes:
			return nil, fmt.Errorf("%w: an event has more than %d bytes", errLargeChanges, tenant.MaxEventBytes)
		case end >= 0:
			r.begin += end
			return data[:end], nil
		case end == jsonscan.Odd:
			return nil, errNoChanges
		case !r.more():
			return nil, r.err
		}
	}
}

// valueEnd leaves to encoding/json what is odd.
func valueEnd(data []byte) int {
	end := jsonscan.ValueEnd(data)
	if end != jsonscan.Odd {
		return end
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	err := dec.Decode(&value)
	switch {
	case err == nil:
		return int(dec.InputOffset())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return jsonscan.Cut
	}
	return jsonscan.Odd
}

func isNumber(c byte) bool { return c == '-' || '0' <= c && c <= '9' }

// next returns the next character that is not white space, without taking it.
func (r *changesReader) next() (byte, error) {
	for {
		if r.begin = jsonscan.SkipSpace(r.buf[:r.end], r.begin); r.begin < r.end {
			return r.buf[r.begin], nil
		}
		if !r.more() {
			return 0, r.err
		}
	}
}

// more reads on, and reports false after an error. The buffer grows when there is no room in it.
func (r *changesReader) more() bool {
	if r.err != nil {
		return false
	}
	copy(r.buf, r.buf[r.begin:r.end])
	r.begin, r.end = 0, r.end-r.begin
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	n, err := r.from.Read(r.buf[r.end:])
	r.end += n
	r.err = err
	return n > 0 || err == nil
}

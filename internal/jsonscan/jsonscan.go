// Package jsonscan steps through the members of a JSON object without an allocation, for what is read a million times: the
// rows of a list, events and their payloads.
//
// It has no rules of its own: it is a fast way to what encoding/json does. What it takes for an object is one there, with the
// same members, and ends at the same byte. Whatever it does not take is [Odd], and its caller has encoding/json read that, so
// that every error and its words come from there.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	jsonscan.go  an object, its members, and what a string says
//	scan.go      where a value ends
package jsonscan

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// What [Object.End] returns for data that does not begin with a whole object.
const (
	// Odd means that encoding/json has to read it: it is not JSON, or not an object, or deeper than [MaxDepth].
	Odd = -1
	// Cut means that the data ends before the object does, and that nothing is wrong up to there.
	Cut = -2
)

// MaxDepth is how many arrays and objects may be in one another below the object itself. Those of encoding/json are 10,000.
const MaxDepth = 64

// Object steps through the members of an object: Next until it returns false, then End.
type Object struct {
	// Name is what stands between the quotes of the member's name. [Escaped] tells whether it is spelled with escapes.
	Name []byte
	// Value is the member's value as it is written. Name and Value are parts of the data.
	Value []byte

	data []byte
	at   int // behind what was read; Odd or Cut
	some bool
	over bool
}

// Open returns the object that the data begins with, after white space.
func Open(data []byte) Object {
	return Object{data: data, at: expect(data, SkipSpace(data, 0), '{')}
}

// Next reads a member into Name and Value, and reports whether there was one.
func (o *Object) Next() bool {
	if o.over || o.at < 0 {
		return false
	}
	at := SkipSpace(o.data, o.at)
	switch {
	case at == len(o.data):
		o.at = Cut
		return false
	case o.data[at] == '}':
		o.at, o.over = at+1, true
		return false
	case o.some && o.data[at] != ',':
		o.at = Odd
		return false
	case o.some:
		at = SkipSpace(o.data, at+1)
	}
	o.some = true
	nameEnd, value, end := member(o.data, at, MaxDepth)
	if o.at = end; end < 0 {
		return false
	}
	o.Name, o.Value = o.data[at+1:nameEnd], o.data[value:end]
	return true
}

// End returns where the object ends in the data, or [Odd] or [Cut]. What Next has read before one of those counts for nothing.
func (o *Object) End() int { return o.at }

// ValueEnd returns where the value ends that the data begins with, or [Odd] or [Cut]. What begins with a number may be cut in it: that ends
// where the data does.
func ValueEnd(data []byte) int { return value(data, 0, MaxDepth) }

// Escaped reports whether a name is spelled with escapes: it may be one that looks like another.
func Escaped(name []byte) bool { return bytes.IndexByte(name, '\\') >= 0 }

// String returns what a well-formed value says that is a string, and false for another one. It is a part of the value, unless
// there are escapes in it or what is not UTF-8: that encoding/json reads.
func String(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	text := value[1 : len(value)-1 : len(value)-1] // nobody can append to it, and write over what follows
	if isPlain(text) || !Escaped(text) && utf8.Valid(text) {
		return text, true
	}
	var said string
	err := json.Unmarshal(value, &said)
	return []byte(said), err == nil
}

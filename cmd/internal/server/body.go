package server

import (
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/tenantwatch/tenantwatch/internal/contract"
)

// maxBodyBytes is the largest body of a request.
const maxBodyBytes = 1 << 20

// readBody reads a JSON body into into; where it may be left out, none is an empty one. What it refuses it refuses as soon as
// it can know. How long a client may take is the listener's affair.
func readBody(w http.ResponseWriter, r *http.Request, into any, mayBeNone bool) error {
	if wrong := contract.NotJSON(r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding")); wrong != "" {
		return refuse(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", wrong)
	}
	if r.ContentLength > maxBodyBytes {
		return bodyTooLarge()
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		return unreadable(err)
	}
	if mayBeNone && len(data) == 0 {
		return nil
	}
	return contract.Decode(data, into)
}

func unreadable(err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "BODY_TIMEOUT", "the body did not arrive in time").with("Connection", "close")
	default:
		return refuse(http.StatusBadRequest, "INVALID_BODY", "the body broke off").with("Connection", "close")
	}
}

// bodyTooLarge closes the connection too, so that nobody has to read the rest.
func bodyTooLarge() *apiError {
	return refuse(http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", "the body is larger than 1 MiB").with("Connection", "close")
}

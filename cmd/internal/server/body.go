package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/tenantwatch/tenantwatch/internal/contract"
)

// maxBodyBytes is the largest body of a request.
const maxBodyBytes = 1 << 20

// readBody reads a JSON body into into; where it may be left out, none is an empty one. What it refuses it refuses as soon as
// it can know. How long a client may take is the listener's affair.
func readBody(w http.ResponseWriter, r *http.Request, into any, mayBeNone bool) error {
	if err := checkContentType(r.Header); err != nil {
		return err
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

// checkContentType takes JSON, and no type at all for it, because there is nothing else that it could be.
func checkContentType(h http.Header) error {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return unsupported("the body must not be compressed")
	}
	value := h.Get("Content-Type")
	if value == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(value)
	isJSON := media == jsonType || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	if err != nil || !isJSON {
		return unsupported("the body has to be application/json")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return unsupported("the body has to be UTF-8")
	}
	return nil
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

func unsupported(message string) *apiError {
	return refuse(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", message)
}

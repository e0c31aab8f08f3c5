package managerapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// answer is what the manager said, its body not yet read.
type answer struct {
	status      int
	header      http.Header
	contentType string
	body        *body
}

// decodeObject reads the whole body, which must be one JSON object.
func (a *answer) decodeObject(out any) error {
	data, err := io.ReadAll(a.body)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, whiteSpace), []byte("{")) {
		return errors.New("the body is not a JSON object")
	}
	if err := tenant.Unmarshal(data, out); err != nil {
		return reason(err)
	}
	return nil
}

// reason says what is wrong with JSON without repeating any of it but the one character that does not fit.
func reason(err error) error {
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the JSON is cut short")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON: %s at byte %d", syntax.Error(), syntax.Offset)
	case errors.Is(err, errGap):
		return errGap
	case errors.Is(err, errNoRow):
		return errNoRow
	case errors.As(err, &wrongType):
		return fmt.Errorf("the field %q has the wrong type", wrongType.Field)
	default:
		return errors.New("the JSON cannot be decoded")
	}
}

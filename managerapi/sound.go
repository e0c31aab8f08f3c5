package managerapi

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"

	"github.com/tenantwatch/tenantwatch/internal/usererror"
)

// sound looks at an error of the code of others, a transport or a provider of keys, where it enters. One whose methods panic
// is replaced by one that says so.
func sound(err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // the common end of a body, which is sound
		return err
	}
	_, err = usererror.Look(err, asked)
	return err
}

// asked is all that is asked of such an error later.
func asked(err error) (facts struct{}) {
	for _, target := range []error{
		io.EOF, io.ErrUnexpectedEOF, errTooLarge, errGap, errNoRow, errBreakerOpen, errAttemptTimeout, ErrUnavailable,
		context.Canceled, context.DeadlineExceeded,
	} {
		_ = errors.Is(err, target)
	}
	_, _ = errors.AsType[*Error](err)
	_, _ = errors.AsType[*tls.CertificateVerificationError](err)
	_, _ = errors.AsType[*net.OpError](err)
	_, _ = errors.AsType[*url.Error](err)
	return facts
}

// soundReader is a body of a transport of others.
type soundReader struct{ from io.Reader }

func (r soundReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	return n, sound(err)
}

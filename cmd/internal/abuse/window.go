package abuse

import (
	"bytes"
	"context"
	"sync"

	"github.com/tenantwatch/tenantwatch/cmd/internal/http2wire"
)

// stuckConnection asks for lists and lets the server send none of their bytes.
func stuckConnection(ctx context.Context, at Target, credentials [2]string, lists int, reach *tally) error {
	conn, err := dialTLS(ctx, at)
	if err != nil {
		reach.lost.Add(1)
		return err
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer func() { _ = conn.Close() }() // that is all that is left to do
	reading.Go(func() {                 // what is not a body comes all the same
		for {
			frame, err := http2wire.Read(conn)
			if err != nil {
				return
			}
			reach.heard(frame)
		}
	})
	host, err := hostOf(at)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	http2wire.Begin(&out, 0)
	for i := range lists {
		http2wire.Request(&out, uint32(2*i+1), [][2]string{
			{":method", "GET"},
			{":scheme", "https"},
			{":authority", host},
			{":path", "/v1/tenants/active?service=" + badService},
			credentials,
		}, "")
	}
	if _, err := conn.Write(out.Bytes()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (t *tally) heard(f http2wire.Frame) {
	switch {
	case f.Type == http2wire.Headers && len(f.Payload) > 0 && f.Payload[0] == http2wire.StatusOK:
		t.served.Add(1)
	case f.Type == http2wire.Headers, f.Type == http2wire.ResetStream, f.Type == http2wire.GoAway:
		t.refused.Add(1)
	}
}

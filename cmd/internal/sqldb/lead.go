package sqldb

import (
	"context"
)

// Lead blocks until this process leads, or ctx ends. Of all that share a PostgreSQL database one does; a SQLite file has only one.
// What is sent has to be sent within two seconds of a call of Check: where the last one to lead did so on another server, Lead
// waits until that time is over for it too.
func (db *DB) Lead(ctx context.Context, l Leadership) (*Lease, error) {
	lease, err := db.dialect.lead(ctx, db.writer, l)
	if err != nil {
		return nil, db.Explain(ctx, "wait to be the relay", err)
	}
	lease.db = db
	return lease, nil
}

// Check returns nil while this process leads. The loss of the connection ends that, and so does an address that leads to another
// server.
func (l *Lease) Check(ctx context.Context) error {
	ctx, cancel := Within(ctx, CallLimit)
	defer cancel()
	return l.db.Explain(ctx, "check to be the relay", l.check(ctx))
}

// Release ends the lease. Once more does nothing.
func (l *Lease) Release() { l.once.Do(l.end) }

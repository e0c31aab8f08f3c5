package server

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
)

// readerLimit is how much of a list, uncompressed, the readers of lib-commons take: 10 MiB. A longer one is an error to them,
// and so their set stays as it is for ever.
const readerLimit = 10 << 20

// largeLists are the services that were warned of. A list is read by a key of its service, so there are no more of them than
// services.
type largeLists struct {
	limit  int64 // 0 is readerLimit; a test has a smaller one, because ten thousand tenants take it a while
	mu     sync.Mutex
	warned map[string]bool // guarded by mu
}

// note reports whether a list of that size is to be warned of, which is once for each service.
func (l *largeLists) note(service string, size int64) bool {
	if size <= cmp.Or(l.limit, readerLimit) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.warned[service] {
		return false
	}
	if l.warned == nil {
		l.warned = map[string]bool{}
	}
	l.warned[service] = true
	return true
}

// warnOfSize is called when a whole list was sent.
func (s *Server) warnOfSize(ctx context.Context, service string, size int64) {
	if s.large.note(service, size) {
		s.log.LogAttrs(ctx, slog.LevelWarn, "the list of this service is larger than 10 MiB uncompressed, and readers that are built on lib-commons "+
			"refuse it whole; those of tenantwatch take 256 MiB: bring the readers up to date, or split the service", slog.String("service", service), slog.Int64("bytes", size))
	}
}

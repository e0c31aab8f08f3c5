package tenanttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// list is what one request for a list is answered with: the first of dropped, failure and answer that is set, else rows.
type list struct {
	dropped bool
	failure *failure
	answer  *Answer
	rows    []tenant.Summary
	with    tenant.Snapshot // zero without versions, and with answer
	cut     bool            // only the first half arrives
}

// read makes the answer to one request for service's list, under the faults that are set. Its error is that of ctx.
func (m *Manager) read(ctx context.Context, service string) (list, error) {
	p := m.takePlan()
	if err := p.hold.stop(ctx, true); err != nil {
		return list{}, err
	}
	answer := m.compose(service, p)
	if err := p.hold.stop(ctx, false); err != nil {
		return list{}, err
	}
	return answer, sleep(ctx, p.delay)
}

func (m *Manager) compose(service string, p plan) list {
	rows, version := m.rowsAt(service, p.stale)
	if p.keep != nil {
		rows = rows[:int(*p.keep*float64(len(rows)))]
	}
	if p.empty {
		rows = rows[:0]
	}
	out := list{dropped: p.drop, failure: p.failure, answer: p.answer, rows: rows, cut: p.cut}
	if m.versions && p.answer == nil {
		out.with = tenant.Snapshot{Version: version, ETag: entityTag(version.Epoch, rows), Environment: m.environment}
		if p.environment != nil {
			out.with.Environment = *p.environment
		}
	}
	return out
}

// entityTag depends on the epoch and the rows alone, so that it stays while other services' sets change.
func entityTag(epoch string, rows []tenant.Summary) string {
	h := sha256.New()
	write := func(text string) { _, _ = h.Write(append([]byte(text), 0)) } // never fails
	write(epoch)
	for _, row := range rows {
		write(row.ID)
		write(row.Name)
		write(row.Status)
	}
	return `"` + hex.EncodeToString(h.Sum(nil)[:16]) + `"`
}

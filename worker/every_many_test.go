package worker

import (
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestIdleTenantsCostNoGoroutine: many tenants, of which none has its tick now, are one heap.
func TestIdleTenantsCostNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		r := startRota(t, 24*time.Hour, EveryConfig{Limit: 2}, nil)
		for i := range 10_000 {
			r.changes <- tenant.Change{Kind: tenant.Added, TenantID: strconv.Itoa(i)}
		}
		time.Sleep(24 * time.Hour)
		if n := len(r.ticks()); n != 10_000 {
			t.Errorf("%d ticks in a day", n)
		}
		if more := runtime.NumGoroutine() - before; more > 10 {
			t.Errorf("%d goroutines", more)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkIdleTenants has 100,000 tenants come to a schedule, and reports what each costs while it is idle.
func BenchmarkIdleTenants(b *testing.B) {
	const tenants = 100_000
	ids := make([]string, tenants)
	for i := range ids {
		ids[i] = "tenant-" + strconv.Itoa(i)
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := newRoll(newTimetable(time.Hour, time.Now()), 0, time.Second)
		for _, id := range ids {
			r.apply(0, id, newsItem{id: id, active: true})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/tenants, "B/tenant")
		runtime.KeepAlive(r)
	}
}

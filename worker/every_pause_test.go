package worker

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// freezer is a handler of logs that lets the goroutine which logs a certain line stand still, as a process does that is
// stopped.
type freezer struct {
	slog.Handler

	line  string
	pause atomic.Int64
}

func (f *freezer) Enabled(context.Context, slog.Level) bool { return true }

func (f *freezer) Handle(_ context.Context, record slog.Record) error {
	if strings.Contains(record.Message, f.line) {
		time.Sleep(time.Duration(f.pause.Swap(0)))
	}
	return nil
}

// TestAfterAPauseThereIsNoBurst lets Every stand still for a while, and looks at who is called when.
func TestAfterAPauseThereIsNoBurst(t *testing.T) {
	const tenants, interval = 1000, 10 * time.Minute
	for _, pause := range []time.Duration{interval / 20, interval / 3, interval * 9 / 10, 25 * interval / 2} {
		t.Run(pause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				freeze := &freezer{Handler: slog.DiscardHandler, line: "the one before still runs"}
				reader := metric.NewManualReader()
				r := startRota(t, interval, EveryConfig{
					Limit: 2, Logger: slog.New(freeze), MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)),
				}, func(ctx context.Context, id string) error {
					if id == "stuck" {
						<-ctx.Done()
					}
					return nil
				})
				r.add("stuck")
				for i := range tenants {
					r.changes <- tenant.Change{Kind: tenant.Added, TenantID: fmt.Sprint("t", i)}
				}
				freeze.pause.Store(int64(pause))
				r.until("stuck", 1)
				time.Sleep(pause) // the pause begins with its second tick, which is late
				end := time.Since(r.began)
				time.Sleep(3 * interval)

				var starts []time.Duration
				for i := range tenants {
					its := r.startsOf(fmt.Sprint("t", i))
					starts = append(starts, its...)
					first := slices.IndexFunc(its, func(at time.Duration) bool { return at >= end })
					next := r.table.after(r.table.phase(fmt.Sprint("t", i)), end)
					if missed := next-interval > end-pause; missed && its[first] > end+interval*2/3 || !missed && its[first] != next {
						t.Fatalf("t%d had to wait for %s after the pause", i, its[first]-end)
					}
					for n := first; n < len(its)-1; n++ {
						if apart := its[n+1] - its[n]; apart < interval/3 {
							t.Fatalf("t%d has two ticks %s apart", i, apart)
						}
					}
				}
				slices.Sort(starts)
				most, from := 0, 0
				for to := range starts {
					for starts[to]-starts[from] >= interval/10 {
						from++
					}
					most = max(most, to-from+1)
				}
				if most > 260 { // 100 are due in a tenth of the interval, and twice as many after a pause
					t.Errorf("%d ticks in a tenth of an interval", most)
				}
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				late := 0
				for _, tick := range r.ticks() {
					late += tick.Late
				}
				if got := counterOf(t, reader, "tenantwatch.worker.late"); got != int64(late) || pause > interval && late < 10*tenants {
					t.Errorf("told of %d late ticks, counted %d", late, got)
				}
			})
		})
	}
}

// counterOf returns the value of a counter without attributes.
func counterOf(t *testing.T, reader metric.Reader, name string) int64 {
	t.Helper()
	for _, m := range metricsOf(t, reader) {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name && len(sum.DataPoints) == 1 && sum.DataPoints[0].Attributes.Len() == 0 {
			return sum.DataPoints[0].Value
		}
	}
	t.Errorf("there is no %s, or it has attributes", name)
	return -1
}

func metricsOf(t *testing.T, reader metric.Reader) []metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.ScopeMetrics) != 1 {
		t.Fatalf("%d scopes", len(all.ScopeMetrics))
	}
	return all.ScopeMetrics[0].Metrics
}

func TestPassesAndTicksAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := metric.NewManualReader()
		provider := metric.NewMeterProvider(metric.WithReader(reader))
		slow := func(context.Context, string) error {
			time.Sleep(20 * time.Second)
			return nil
		}
		if err := ForEach(t.Context(), slices.Values([]string{"a", "b"}), slow, ForEachConfig{Limit: 1, MeterProvider: provider}); err != nil {
			t.Error(err)
		}
		r := startRota(t, time.Minute, EveryConfig{MeterProvider: provider, StopGrace: time.Minute}, slow)
		synctest.Wait()
		if late := counterOf(t, reader, "tenantwatch.worker.late"); late != 0 {
			t.Errorf("%d late from the start", late)
		}
		r.add("a")
		r.until("a", 2)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		want := map[string]metricdata.HistogramDataPoint[float64]{
			"tenantwatch.worker.pass.duration": {Count: 1, Sum: 40}, "tenantwatch.worker.tick.duration": {Count: 3, Sum: 60},
		}
		for _, m := range metricsOf(t, reader) {
			histogram, ok := m.Data.(metricdata.Histogram[float64])
			if !ok {
				continue
			}
			point := histogram.DataPoints[0]
			if w := want[m.Name]; point.Count != w.Count || point.Sum != w.Sum || m.Unit != "s" || point.Attributes.Len() != 0 || len(histogram.DataPoints) != 1 {
				t.Errorf("%s in %s: %d, together %g, of %v", m.Name, m.Unit, point.Count, point.Sum, point.Attributes)
			}
			if highest := point.Bounds[len(point.Bounds)-1]; highest != 4*time.Hour.Seconds() {
				t.Errorf("the highest bound of %s is %g", m.Name, highest)
			}
			delete(want, m.Name)
		}
		if len(want) != 0 {
			t.Errorf("not measured: %v", want)
		}
	})
}

package outbox

import (
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestS09Metrics(t *testing.T) {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	inWorld(t, Config{MeterProvider: provider}, func(w *world) {
		w.publisher.set(func() { w.publisher.refuse = onlyTenant("bad", errRefused) })
		w.add("a", "b", "bad", "c")
		w.set(func() { w.rows[3].Data = nil })
		w.wake()
		w.passes(250 * time.Millisecond)
		const want = "map[lag:0.25 leading:1 pending:1 published:2 quarantined:1 retries:1]"
		if got := fmt.Sprint(collect(w.t, reader)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		w.set(func() { w.err = errAway })
		if got := collect(w.t, reader); got["leading"] != 1 || len(got) != 4 {
			t.Errorf("without the store: %v", got)
		}
		w.stop()
		if got := collect(w.t, reader); len(got) != 3 {
			t.Errorf("after Run: %v", got)
		}
	})
}

// collect returns the metrics by the last word of their names.
func collect(t *testing.T, reader *metric.ManualReader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			name := m.Name[len("tenantwatch.outbox."):]
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				got[name] = float64(data.DataPoints[0].Value)
			case metricdata.Gauge[int64]:
				got[name] = float64(data.DataPoints[0].Value)
			case metricdata.Gauge[float64]:
				got[name] = data.DataPoints[0].Value
			}
		}
	}
	return got
}

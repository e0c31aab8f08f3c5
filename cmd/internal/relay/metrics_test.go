package relay

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
		const want = "map[leading:1 oldest.age:0.25 pending:1 published:2 quarantined:1 retries:1]"
		if got := fmt.Sprint(collect(w.t, reader)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		w.set(func() { w.err = errAway })
		if got := collect(w.t, reader); got["leading"] != 1 || len(got) != 3 {
			t.Errorf("without the store: %v", got)
		}
		w.stop()
		if got := collect(w.t, reader); len(got) != 2 {
			t.Errorf("after Run: %v", got)
		}
	})
}

// TestS09MetricsOfOneThatWaits: what is read from the store is told by every process, so that it is told even where none
// relays, or the one that does hangs.
func TestS09MetricsOfOneThatWaits(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		first := w.stop
		defer first()
		w.publisher.set(func() { w.publisher.down = errAway })
		reader := metric.NewManualReader()
		cfg := w.relay.cfg
		cfg.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
		w.start(cfg)
		w.wake("a", "b")
		w.passes(time.Minute)
		const want = "map[leading:0 oldest.age:60 pending:2 published:0 quarantined:0 retries:0]"
		if got := fmt.Sprint(collect(w.t, reader)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// collect returns the metrics by their names after "tenantwatch.outbox.".
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

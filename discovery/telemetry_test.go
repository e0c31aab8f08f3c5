package discovery_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// scrape returns every point as "name{attribute=value …}" and its value; of a histogram the count.
func scrape(t testing.TB, reader *sdkmetric.ManualReader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	points := map[string]float64{}
	put := func(name string, attributes attribute.Set, value float64) {
		points[strings.TrimPrefix(name, "tenantwatch.discovery.")+attributes.Encoded(attribute.DefaultEncoder())] = value
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					put(m.Name, p.Attributes, float64(p.Count))
				}
			default:
				t.Fatalf("%s is a %T", m.Name, data)
			}
		}
	}
	return points
}

func TestMetrics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		f := newFixture(t, "tenant-canary", "beta")
		f.cfg.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		d := f.start(t)
		d.OnTenantRemoved(func(context.Context, string) { panic("as planned") })
		f.suspend(t, "tenant-canary")
		f.feed.PublishRaw([]byte("{"))
		settle()
		f.manager.FailList(1, 500, "")
		pass(time.Minute)
		points := scrape(t, reader)
		for name, want := range map[string]float64{
			"tenantsservice=ledger":                                      1,
			"stateservice=ledger,state=live":                             1,
			"stateservice=ledger,state=polling":                          0,
			"eventsoutcome=applied,service=ledger":                       1,
			"eventsoutcome=bad,service=ledger":                           1,
			"subscriptionsservice=ledger":                                1,
			"callback.panicsservice=ledger":                              1,
			"callback.delayservice=ledger":                               1,
			"reconcilescause=bootstrap,result=reconciled,service=ledger": 1,
			"reconcilescause=gap,result=failed,service=ledger":           1,
			"reconcilescause=retry,result=reconciled,service=ledger":     1,
		} {
			if got, there := points[name]; !there || got != want {
				t.Errorf("%s is %v (%v), want %v", name, got, there, want)
			}
		}
		if age := points["snapshot.ageservice=ledger"]; age <= 0 || age > 60 {
			t.Errorf("age %v", age)
		}
		if text := fmt.Sprint(points); strings.Contains(text, "canary") {
			t.Errorf("a tenant is in an attribute: %s", text)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if _, there := scrape(t, reader)["tenantsservice=ledger"]; there {
			t.Error("read after Close")
		}
	})
}

func TestSpans(t *testing.T) {
	bubble(t, func(t *testing.T) {
		recorder := tracetest.NewSpanRecorder()
		f := newFixture(t)
		f.cfg.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
		d := f.start(t)
		f.manager.FailList(1, 500, "")
		if err := d.Refresh(t.Context()); err == nil {
			t.Fatal("no failure")
		}
		spans := recorder.Ended()
		if len(spans) != 2 {
			t.Fatalf("%d spans", len(spans))
		}
		for i, want := range []struct {
			cause, result string
			code          codes.Code
		}{{"bootstrap", "reconciled", codes.Unset}, {"refresh", "failed", codes.Error}} {
			attributes := attribute.NewSet(spans[i].Attributes()...)
			cause, _ := attributes.Value("cause")
			result, _ := attributes.Value("result")
			if cause.AsString() != want.cause || result.AsString() != want.result || spans[i].Status().Code != want.code {
				t.Errorf("span %d: %v, %v", i, spans[i].Attributes(), spans[i].Status())
			}
		}
	})
}

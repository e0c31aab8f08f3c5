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
		f.cfg.Environment = "Test"
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
			"tenantstenantwatch.environment=test,tenantwatch.service=ledger":                                      1,
			"statestate=live,tenantwatch.environment=test,tenantwatch.service=ledger":                             1,
			"statestate=polling,tenantwatch.environment=test,tenantwatch.service=ledger":                          0,
			"eventsoutcome=applied,tenantwatch.environment=test,tenantwatch.service=ledger":                       1,
			"eventsoutcome=bad,tenantwatch.environment=test,tenantwatch.service=ledger":                           1,
			"subscriptionstenantwatch.environment=test,tenantwatch.service=ledger":                                1,
			"callback.panicstenantwatch.environment=test,tenantwatch.service=ledger":                              1,
			"callback.delaytenantwatch.environment=test,tenantwatch.service=ledger":                               1,
			"reconcilescause=bootstrap,result=reconciled,tenantwatch.environment=test,tenantwatch.service=ledger": 1,
			"reconcilescause=gap,result=failed,tenantwatch.environment=test,tenantwatch.service=ledger":           1,
			"reconcilescause=retry,result=changes,tenantwatch.environment=test,tenantwatch.service=ledger":        1,
		} {
			if got, there := points[name]; !there || got != want {
				t.Errorf("%s is %v (%v), want %v", name, got, there, want)
			}
		}
		if age := points["snapshot.agetenantwatch.environment=test,tenantwatch.service=ledger"]; age <= 0 || age > 60 {
			t.Errorf("age %v", age)
		}
		if text := fmt.Sprint(points); strings.Contains(text, "canary") {
			t.Errorf("a tenant is in an attribute: %s", text)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if _, there := scrape(t, reader)["tenantstenantwatch.environment=test,tenantwatch.service=ledger"]; there {
			t.Error("read after Close")
		}
	})
}

// TestX28TheEnvironmentThatNobodyHasConfiguredIsThatOfTheList, or two managers' points would be one, and the last would win.
func TestX28TheEnvironmentThatNobodyHasConfiguredIsThatOfTheList(t *testing.T) {
	bubble(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		for environment, tenants := range map[string][]string{"live": {"a", "b", "c"}, "dev": {"a"}} {
			f := newFixture(t, tenants...)
			f.cfg.Environment, f.cfg.MeterProvider = "", provider
			f.manager.ListEnvironment(-1, environment)
			f.start(t)
			f.manager.ListEnvironment(-1, environment+"-renamed")
			pass(time.Hour)
		}
		points := scrape(t, reader)
		for environment, want := range map[string]float64{"live": 3, "dev": 1} {
			if got := points["tenantstenantwatch.environment="+environment+",tenantwatch.service=ledger"]; got != want {
				t.Errorf("%q has %v tenants, want %v: %v", environment, got, want, points)
			}
		}
	})
}

// TestX28OneServiceInTwoEnvironments with one MeterProvider: each has its own points, and no attribute has a name that a
// scraper gives a label of its own.
func TestX28OneServiceInTwoEnvironments(t *testing.T) {
	bubble(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
		for environment, tenants := range map[string][]string{"live": {"a", "b", "c"}, "dev": {"a"}, "": {"a", "b"}} {
			f := newFixture(t, tenants...)
			f.cfg.Environment, f.cfg.MeterProvider = environment, provider
			f.manager.ListEnvironment(-1, environment)
			f.start(t)
		}
		points := scrape(t, reader)
		for environment, want := range map[string]float64{"live": 3, "dev": 1, "": 2} {
			if got := points["tenantstenantwatch.environment="+environment+",tenantwatch.service=ledger"]; got != want {
				t.Errorf("%q has %v tenants, want %v: %v", environment, got, want, points)
			}
		}
		for name := range points {
			if strings.Contains(strings.ReplaceAll(name, "tenantwatch.service=", ""), "service=") {
				t.Errorf("%s has an attribute that is called service", name)
			}
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

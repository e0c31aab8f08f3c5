package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

// metrics are what an operator watches of the API; the outbox has its own. No label has a value that a client can make up.
type metrics struct {
	provider *sdk.MeterProvider
	handler  http.Handler
	requests metric.Int64Counter
	duration metric.Float64Histogram
	changes  metric.Int64Counter
	streams  metric.Int64UpDownCounter
}

func newMetrics() (*metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("make the metrics' exporter: %w", err)
	}
	m := &metrics{
		provider: sdk.NewMeterProvider(sdk.WithReader(exporter)),
		handler:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	meter := m.provider.Meter("github.com/tenantwatch/tenantwatch/cmd/internal/server")
	var errs [4]error
	m.requests, errs[0] = meter.Int64Counter("tenantwatch.manager.requests",
		metric.WithDescription("Requests that were answered."), metric.WithUnit("{request}"))
	m.duration, errs[1] = meter.Float64Histogram("tenantwatch.manager.request.duration",
		metric.WithDescription("How long requests took; streams are not among them."), metric.WithUnit("s"),
		// Those that OpenTelemetry's semantic conventions advise for http.server.request.duration.
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10))
	m.changes, errs[2] = meter.Int64Counter("tenantwatch.manager.changes",
		metric.WithDescription("Calls that have changed something."), metric.WithUnit("{change}"))
	m.streams, errs[3] = meter.Int64UpDownCounter("tenantwatch.manager.streams",
		metric.WithDescription("Clients that follow the events."), metric.WithUnit("{client}"))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make the metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) countRequest(r *http.Request, route string, status int, took time.Duration) {
	labels := []attribute.KeyValue{
		attribute.String("method", methodOf(r)), attribute.String("route", route), attribute.String("status", strconv.Itoa(status)),
	}
	ctx := context.WithoutCancel(r.Context())
	m.requests.Add(ctx, 1, metric.WithAttributes(labels...))
	if route != eventsPath {
		m.duration.Record(ctx, took.Seconds(), metric.WithAttributes(labels[:2]...))
	}
}

func (m *metrics) countChange(ctx context.Context, operation string) {
	m.changes.Add(ctx, 1, metric.WithAttributes(attribute.String("operation", operation)))
}

func (m *metrics) countStream(ctx context.Context, n int64) { m.streams.Add(ctx, n) }

// shutdown may be called again.
func (m *metrics) shutdown(ctx context.Context) error {
	err := m.provider.Shutdown(ctx)
	if errors.Is(err, sdk.ErrReaderShutdown) {
		return nil
	}
	return err
}

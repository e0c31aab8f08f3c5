package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// scrapeTimeout is how long the database may take to tell of the outbox while somebody waits for the metrics.
const scrapeTimeout = 2 * time.Second

// metrics are what an operator watches. No label has a value that a client can make up.
type metrics struct {
	provider *sdk.MeterProvider
	handler  http.Handler
	requests metric.Int64Counter
	duration metric.Float64Histogram
	changes  metric.Int64Counter
	streams  metric.Int64UpDownCounter
}

func newMetrics(s *Server) (*metrics, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("make the metrics' exporter: %w", err)
	}
	m := &metrics{
		provider: sdk.NewMeterProvider(sdk.WithReader(exporter)),
		handler:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	meter := m.provider.Meter("github.com/tenantwatch/tenantwatch/internal/server")
	var errs [4]error
	m.requests, errs[0] = meter.Int64Counter("tenantwatch.manager.requests", metric.WithDescription("requests that were answered"))
	m.duration, errs[1] = meter.Float64Histogram("tenantwatch.manager.request.duration",
		metric.WithDescription("how long requests took, streams not counted"), metric.WithUnit("s"))
	m.changes, errs[2] = meter.Int64Counter("tenantwatch.manager.changes", metric.WithDescription("changes that were made"))
	m.streams, errs[3] = meter.Int64UpDownCounter("tenantwatch.manager.streams", metric.WithDescription("clients that follow the events"))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make the metrics: %w", err)
	}
	return m, observeOutbox(meter, s)
}

// observeOutbox asks the store at each scrape. When it does not answer the values are left out and the other ones shown.
func observeOutbox(meter metric.Meter, s *Server) error {
	var errs [4]error
	pending, err := meter.Int64ObservableGauge("tenantwatch.manager.outbox.pending", metric.WithDescription("events that wait to be published"))
	errs[0] = err
	quarantined, err := meter.Int64ObservableGauge("tenantwatch.manager.outbox.quarantined", metric.WithDescription("events that were given up"))
	errs[1] = err
	oldest, err := meter.Float64ObservableGauge("tenantwatch.manager.outbox.oldest.age",
		metric.WithDescription("how long the oldest event waits to be published; 0 if none does"), metric.WithUnit("s"))
	errs[2] = err
	_, errs[3] = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
		defer cancel()
		status, err := s.store.Outbox(ctx)
		if err != nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the outbox does not show in the metrics", slog.String("error", err.Error()))
			return nil
		}
		o.ObserveInt64(pending, int64(status.Pending))
		o.ObserveInt64(quarantined, int64(status.Quarantined))
		age := 0.0
		if !status.Oldest.IsZero() {
			age = max(0, time.Since(status.Oldest).Seconds())
		}
		o.ObserveFloat64(oldest, age)
		return nil
	}, pending, quarantined, oldest)
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("make the outbox's metrics: %w", err)
	}
	return nil
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

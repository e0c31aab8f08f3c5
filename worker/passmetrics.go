package worker

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// longBuckets are the bounds of durations from a call of a database to a job of the night, in seconds.
var longBuckets = []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 14400}

func passMeter(provider metric.MeterProvider) metric.Meter {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	return provider.Meter(instrumentation)
}

// passMetrics is what OpenTelemetry is told of passes. Nothing of it has attributes.
type passMetrics struct {
	duration   metric.Float64Histogram
	passedOver metric.Int64Counter
}

func newPassMetrics(ctx context.Context, provider metric.MeterProvider) (passMetrics, error) {
	meter := passMeter(provider)
	var m passMetrics
	var errs [2]error
	m.duration, errs[0] = meter.Float64Histogram("tenantwatch.worker.pass.duration",
		metric.WithDescription("How long passes over the tenants took."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(longBuckets...))
	m.passedOver, errs[1] = meter.Int64Counter("tenantwatch.worker.pass.passed_over",
		metric.WithDescription("Tenants that passes have passed over, because they were not active when their turn came."),
		metric.WithUnit("{tenant}"))
	if err := errors.Join(errs[:]...); err != nil {
		return passMetrics{}, fmt.Errorf("make metrics: %w", err)
	}
	m.passedOver.Add(ctx, 0) // so that it is there, and its first rise is seen as one
	return m, nil
}

// tickMetrics is what OpenTelemetry is told of a schedule. Nothing of it has attributes.
type tickMetrics struct {
	duration metric.Float64Histogram
	late     metric.Int64Counter
}

func newTickMetrics(ctx context.Context, provider metric.MeterProvider) (tickMetrics, error) {
	meter := passMeter(provider)
	var m tickMetrics
	var errs [2]error
	m.duration, errs[0] = meter.Float64Histogram("tenantwatch.worker.tick.duration",
		metric.WithDescription("How long the ticks of single tenants took."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(longBuckets...))
	m.late, errs[1] = meter.Int64Counter("tenantwatch.worker.late",
		metric.WithDescription("Ticks that were skipped, because the one before had not ended or the process stood still."),
		metric.WithUnit("{tick}"))
	if err := errors.Join(errs[:]...); err != nil {
		return tickMetrics{}, fmt.Errorf("make metrics: %w", err)
	}
	m.late.Add(ctx, 0) // so that it is there, and its first rise is seen as one
	return m, nil
}

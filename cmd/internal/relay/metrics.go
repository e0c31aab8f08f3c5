package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const (
	scope = "github.com/tenantwatch/tenantwatch/cmd/internal/relay"
	// observeTimeout bounds how long a collection of the metrics waits for the database.
	observeTimeout = 2 * time.Second
)

// metrics is what OpenTelemetry is told: what this process has done is counted, and the state of the outbox is read from the
// store. Nothing of it has attributes.
type metrics struct {
	meter              metric.Meter
	published, retries metric.Int64Counter
	leading            atomic.Bool
}

func newMetrics(provider metric.MeterProvider) (*metrics, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	m := &metrics{meter: provider.Meter(scope)}
	var errs [2]error
	m.published, errs[0] = m.meter.Int64Counter("tenantwatch.outbox.published",
		metric.WithDescription("Events that Redis took."), metric.WithUnit("{event}"))
	m.retries, errs[1] = m.meter.Int64Counter("tenantwatch.outbox.retries",
		metric.WithDescription("Events that could not be sent and are sent again."), metric.WithUnit("{event}"))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	for _, counter := range []metric.Int64Counter{m.published, m.retries} {
		counter.Add(context.Background(), 0) // so that it is there, and its first rise is seen as one
	}
	return m, nil
}

// observe registers what is read from the store whenever metrics are collected, until stop. A process that does not relay
// tells it as well, so that it is told even where none does.
func (m *metrics) observe(s Store, log *slog.Logger) (stop func(), err error) {
	var errs [5]error
	pending, err := m.meter.Int64ObservableGauge("tenantwatch.outbox.pending",
		metric.WithDescription("Lag of the outbox: events that wait to be sent."), metric.WithUnit("{event}"))
	errs[0] = err
	oldest, err := m.meter.Float64ObservableGauge("tenantwatch.outbox.oldest.age",
		metric.WithDescription("Age of the oldest event that waits to be sent; 0 if none does."), metric.WithUnit("s"))
	errs[1] = err
	quarantined, err := m.meter.Int64ObservableGauge("tenantwatch.outbox.quarantined",
		metric.WithDescription("Events that were set aside because they cannot be sent."), metric.WithUnit("{event}"))
	errs[2] = err
	leading, err := m.meter.Int64ObservableGauge("tenantwatch.outbox.leading",
		metric.WithDescription("1 where this process relays, 0 where it waits for another one."), metric.WithUnit("{leader}"))
	errs[3] = err
	registration, err := m.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		leads := int64(0)
		if m.leading.Load() {
			leads = 1
		}
		o.ObserveInt64(leading, leads)
		ctx, cancel := context.WithTimeout(ctx, observeTimeout)
		defer cancel()
		status, err := s.Outbox(ctx)
		if err != nil { // an error that is returned goes to a global handler, which prints
			log.WarnContext(ctx, "the outbox could not be read for the metrics", slog.Any("error", err))
			return nil
		}
		age := 0.0
		if !status.Oldest.IsZero() {
			age = max(0, time.Since(status.Oldest).Seconds())
		}
		o.ObserveInt64(pending, int64(status.Pending))
		o.ObserveInt64(quarantined, int64(status.Quarantined))
		o.ObserveFloat64(oldest, age)
		return nil
	}, pending, oldest, quarantined, leading)
	errs[4] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return func() { _ = registration.Unregister() }, nil // its error is that of a provider that is shut down
}

package outbox

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
	scope = "github.com/tenantwatch/tenantwatch/internal/outbox"
	// observeTimeout bounds how long a collection of the metrics waits for the database.
	observeTimeout = 2 * time.Second
)

// metrics is what OpenTelemetry is told. Nothing of it has attributes.
type metrics struct {
	meter                           metric.Meter
	published, retries, quarantined metric.Int64Counter
	leading                         atomic.Bool
}

func newMetrics(provider metric.MeterProvider) (*metrics, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	m := &metrics{meter: provider.Meter(scope)}
	var errs [3]error
	m.published, errs[0] = m.meter.Int64Counter("tenantwatch.outbox.published",
		metric.WithDescription("Events that Redis took."), metric.WithUnit("{event}"))
	m.retries, errs[1] = m.meter.Int64Counter("tenantwatch.outbox.retries",
		metric.WithDescription("Events that could not be sent and are sent again."), metric.WithUnit("{event}"))
	m.quarantined, errs[2] = m.meter.Int64Counter("tenantwatch.outbox.quarantined",
		metric.WithDescription("Events that were set aside."), metric.WithUnit("{event}"))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("make metrics: %w", err)
	}
	return m, nil
}

// observe registers what is read from the store whenever metrics are collected, until stop. A process that does not relay
// tells it as well, so that it is told also where none does.
func (m *metrics) observe(s Store, log *slog.Logger) (stop func(), err error) {
	var errs [4]error
	pending, err := m.meter.Int64ObservableGauge("tenantwatch.outbox.pending",
		metric.WithDescription("Events that wait to be sent."), metric.WithUnit("{event}"))
	errs[0] = err
	lag, err := m.meter.Float64ObservableGauge("tenantwatch.outbox.lag",
		metric.WithDescription("Age of the oldest event that waits; 0 if none does."), metric.WithUnit("s"))
	errs[1] = err
	leading, err := m.meter.Int64ObservableGauge("tenantwatch.outbox.leading",
		metric.WithDescription("1 where this process relays, 0 where it waits for another one."), metric.WithUnit("1"))
	errs[2] = err
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
		o.ObserveFloat64(lag, age)
		return nil
	}, pending, lag, leading)
	errs[3] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return func() { _ = registration.Unregister() }, nil // its error is that of a provider that is shut down
}

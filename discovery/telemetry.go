package discovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const scope = "github.com/tenantwatch/tenantwatch/discovery"

// telemetry is what OpenTelemetry is told. No attribute of a metric has a tenant in it, or anything else that is not from
// a closed set but the names of the service and of the environment: the one that is configured, else that of the first list. These two begin with our name: a
// scraper has a label "service" of its own.
type telemetry struct {
	tracer     trace.Tracer
	service    string
	place      atomic.Pointer[string]                   // the environment; nil as long as none is known
	own        atomic.Pointer[metric.MeasurementOption] // whose, once the environment is known
	reconciles metric.Int64Counter
	delay      metric.Float64Histogram
	meter      metric.Meter
}

func newTelemetry(cfg Config) (*telemetry, error) {
	meters, tracers := cfg.MeterProvider, cfg.TracerProvider
	if meters == nil {
		meters = otel.GetMeterProvider()
	}
	if tracers == nil {
		tracers = otel.GetTracerProvider()
	}
	meter := meters.Meter(scope)
	t := &telemetry{tracer: tracers.Tracer(scope), meter: meter, service: cfg.ServiceName}
	t.isOf(cfg.Environment)
	var errs [2]error
	t.reconciles, errs[0] = meter.Int64Counter("tenantwatch.discovery.reconciles",
		metric.WithDescription("Snapshots asked for, by cause and result: reconciled, changes, not_modified, list_needed, failed."), metric.WithUnit("{reconcile}"))
	t.delay, errs[1] = meter.Float64Histogram("tenantwatch.discovery.callback.delay",
		metric.WithDescription("Time from a change of the set to its callback."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5, 10, 60, 300))
	return t, errors.Join(errs[:]...)
}

// isOf says which environment it is, unless that is known already: a list that names another each time makes no more points.
func (t *telemetry) isOf(environment string) {
	if environment != "" && t.place.Load() == nil {
		known := environment
		if t.place.CompareAndSwap(nil, &known) {
			own := metric.WithAttributes(t.whose()...)
			t.own.Store(&own)
		}
	}
}

// with is whose, as what is recorded often takes it.
func (t *telemetry) with() metric.MeasurementOption {
	if own := t.own.Load(); own != nil {
		return *own
	}
	return metric.WithAttributes(t.whose()...)
}

// whose is what all points and spans have.
func (t *telemetry) whose() []attribute.KeyValue {
	environment := ""
	if known := t.place.Load(); known != nil {
		environment = *known
	}
	return []attribute.KeyValue{attribute.String("tenantwatch.service", t.service), attribute.String("tenantwatch.environment", environment)}
}

// observe registers what is read from Status whenever metrics are collected, until stop.
func (t *telemetry) observe(status func() Status) (stop func() error, err error) {
	var all []metric.Observable
	var errs []error
	counter := func(name, description string) metric.Int64ObservableCounter {
		c, err := t.meter.Int64ObservableCounter("tenantwatch.discovery."+name, metric.WithDescription(description))
		all, errs = append(all, c), append(errs, err)
		return c
	}
	gauge := func(name, description, unit string) metric.Float64ObservableGauge {
		g, err := t.meter.Float64ObservableGauge("tenantwatch.discovery."+name, metric.WithDescription(description), metric.WithUnit(unit))
		all, errs = append(all, g), append(errs, err)
		return g
	}
	tenants := gauge("tenants", "Tenants in the set.", "{tenant}")
	state := gauge("state", "1 for the state that the discovery is in, 0 for the others.", "1")
	age := gauge("snapshot.age", "Time since the last snapshot.", "s")
	events := counter("events", "Events that arrived, by outcome.")
	drift := counter("drift", "Differences that reconciles found.")
	unannounced := counter("unannounced", "Those of them that no event announced, though none was known to be missed.")
	held := counter("removals.held", "Removals that the guard held.")
	subscriptions := counter("subscriptions", "Subscriptions that were confirmed.")
	panics := counter("callback.panics", "Panics of callbacks.")
	registration, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		with := metric.WithAttributes(t.whose()...)
		s := status()
		o.ObserveFloat64(tenants, float64(s.Tenants), with)
		o.ObserveFloat64(age, s.Age().Seconds(), with)
		observeState(o, state, s.State, with)
		for outcome, n := range s.Counters.byOutcome() {
			o.ObserveInt64(events, signed(n), with, metric.WithAttributes(attribute.String("outcome", outcome)))
		}
		o.ObserveInt64(drift, signed(s.Counters.DriftFound), with)
		o.ObserveInt64(unannounced, signed(s.Counters.Unannounced), with)
		o.ObserveInt64(held, signed(s.Counters.RemovalsHeld), with)
		o.ObserveInt64(subscriptions, signed(s.Counters.Subscriptions), with)
		o.ObserveInt64(panics, signed(s.Counters.CallbackPanics), with)
		return nil
	}, all...)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return sync.OnceValue(registration.Unregister), nil
}

func observeState(o metric.Observer, gauge metric.Float64Observable, is State, with metric.ObserveOption) {
	for _, state := range []State{Starting, Live, Syncing, Polling, Stale, Closed} {
		value := 0.0
		if state == is {
			value = 1
		}
		o.ObserveFloat64(gauge, value, with, metric.WithAttributes(attribute.String("state", state.String())))
	}
}

func (n *Counters) byOutcome() map[string]uint64 {
	return map[string]uint64{
		"applied":           n.EventsApplied,
		"ignored":           n.EventsIgnored,
		"other_service":     n.EventsOtherService,
		"other_environment": n.EventsOtherEnvironment,
		"unknown":           n.EventsUnknown,
		"old":               n.EventsOld,
		"bad":               n.EventsBad,
		"dropped":           n.EventsDropped,
	}
}

func signed(n uint64) int64 { return int64(n) } //nolint:gosec // nothing is counted that often

// reconcile begins the span of a request. done ends it and counts the request, by what came of it.
func (t *telemetry) reconcile(ctx context.Context, cause string) (_ context.Context, done func(err error, ans activeset.Answer)) {
	ctx, span := t.tracer.Start(ctx, "tenantwatch.reconcile", //nolint:spancheck // done ends it
		trace.WithAttributes(t.whose()...), trace.WithAttributes(attribute.String("cause", cause)), trace.WithSpanKind(trace.SpanKindInternal))
	return ctx, func(err error, ans activeset.Answer) { //nolint:spancheck // see above
		result := resultOf(err, ans)
		if result == "failed" {
			span.RecordError(err)
			span.SetStatus(codes.Error, "the snapshot failed")
		}
		span.SetAttributes(attribute.String("result", result))
		span.End()
		t.reconciles.Add(ctx, 1, metric.WithAttributes(t.whose()...), metric.WithAttributes(attribute.String("cause", cause), attribute.String("result", result)))
	}
}

// resultOf says in a word what came of a request.
func resultOf(err error, ans activeset.Answer) string {
	switch {
	case err == activeset.ErrAskWhole: //nolint:errorlint // it is this one
		return "list_needed"
	case err != nil:
		return "failed"
	case ans.NotModified:
		return "not_modified"
	case ans.Changes != nil:
		return "changes"
	default:
		return "reconciled"
	}
}

// told records how long the change waited for its callback.
func (t *telemetry) told(ctx context.Context, change tenant.Change) {
	t.delay.Record(ctx, time.Since(change.At).Seconds(), t.with())
}

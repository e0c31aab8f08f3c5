package worker

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"
)

const instrumentation = "github.com/tenantwatch/tenantwatch/worker"

// register lets the meter read the counts while the Group runs. Nothing has attributes: tenants are not labels.
// They are up-down counters and no gauges, so that several Groups with one MeterProvider add up.
func (g *Group) register() (unregister func() error, err error) {
	meter := g.cfg.MeterProvider.Meter(instrumentation)
	var errs []error
	count := func(name, description string) metric.Int64ObservableUpDownCounter {
		made, err := meter.Int64ObservableUpDownCounter("tenantwatch.worker."+name, metric.WithDescription(description), metric.WithUnit("{tenant}"))
		errs = append(errs, err)
		return made
	}
	running := count("running", "Tenants whose work runs.")
	waiting := count("waiting", "Tenants that are in line for the limit or the ramp.")
	restarting := count("restarting", "Tenants whose work has failed and will be tried again.")
	overstaying := count("overstaying", "Tenants whose work was cancelled and has not ended within the grace.")
	givenUp := count("given_up", "Tenants whose work has given up.")
	restarts, err := meter.Int64ObservableCounter("tenantwatch.worker.restarts",
		metric.WithDescription("Runs that have followed one that failed."), metric.WithUnit("{run}"))
	registration, registered := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		g.mu.Lock()
		n, followed := g.set.byState, g.set.restarts
		g.mu.Unlock()
		o.ObserveInt64(running, int64(n[Running]))
		o.ObserveInt64(waiting, int64(n[Waiting]))
		o.ObserveInt64(restarting, int64(n[Restarting]))
		o.ObserveInt64(overstaying, int64(n[Overstaying]))
		o.ObserveInt64(givenUp, int64(n[GivenUp]))
		o.ObserveInt64(restarts, followed)
		return nil
	}, running, waiting, restarting, overstaying, givenUp, restarts)
	if err := errors.Join(append(errs, err, registered)...); err != nil {
		return nil, err
	}
	return registration.Unregister, nil
}

package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tenantwatch/tenantwatch/tenant"
)

func collect(t *testing.T, reader metric.Reader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	values := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				values[m.Name] = data.DataPoints[0].Value
			case metricdata.Sum[int64]:
				values[m.Name] = data.DataPoints[0].Value
			default:
				t.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return values
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, release := metric.NewManualReader(), make(chan struct{})
		g, err := NewGroup(Config{
			Limit: 2, StopGrace: time.Second, MinBackoff: time.Second, MaxBackoff: 10 * time.Second,
			MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)),
			Work: func(ctx context.Context, id string) error {
				switch id {
				case "fails":
					return errors.New("no")
				case "stuck":
					<-release
				}
				<-ctx.Done()
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		changes, ended := make(chan tenant.Change), make(chan error)
		b := &bench{changes: changes}
		go func() { ended <- g.Run(ctx, b.sequence(ctx)) }()
		b.add("stuck", "fails")
		b.remove("stuck")
		time.Sleep(2 * time.Second)
		b.add("a", "b", "c")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		now, restarts := g.Status(), 0
		for _, one := range now.Tenants {
			restarts += one.Restarts
		}
		want := fmt.Sprint(map[string]int{
			"tenantwatch.worker.overstaying": 1, "tenantwatch.worker.running": 2, "tenantwatch.worker.waiting": now.Waiting,
			"tenantwatch.worker.restarting": now.Restarting, "tenantwatch.worker.given_up": 0, "tenantwatch.worker.restarts": restarts,
		})
		if got := fmt.Sprint(collect(t, reader)); got != want || restarts == 0 || now.Waiting == 0 {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		close(release)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left := collect(t, reader); len(left) != 0 {
			t.Errorf("after the end there are %v", left)
		}
	})
}

// TestGroupsAddUp: two of one process do not hide each other.
func TestGroupsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := metric.NewManualReader()
		provider := metric.NewMeterProvider(metric.WithReader(reader))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		for _, tenants := range []int{7, 3} {
			g, err := NewGroup(Config{MeterProvider: provider, Work: func(ctx context.Context, _ string) error {
				<-ctx.Done()
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				ended <- g.Run(ctx, func(yield func(tenant.Change) bool) {
					for i := range tenants {
						yield(tenant.Change{Kind: tenant.Added, TenantID: fmt.Sprint(i)})
					}
					<-ctx.Done()
				})
			}()
		}
		synctest.Wait()
		if got := collect(t, reader)["tenantwatch.worker.running"]; got != 10 {
			t.Errorf("%d are running, and are 10", got)
		}
		cancel()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
	})
}

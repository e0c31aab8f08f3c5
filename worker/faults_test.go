package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestW01RemovedWhileItsWorkRuns: its ctx ends at once, the work has its grace, and a tenant that comes again meanwhile
// waits for the old run, in whatever spelling.
func TestW01RemovedWhileItsWorkRuns(t *testing.T) {
	const dashed, plain = "0a8f5c1e-0000-4000-8000-00000000000a", "0A8F5C1E000040008000" + "00000000000A"
	synctest.Test(t, func(t *testing.T) {
		var told error
		var after time.Duration
		removed := time.Now()
		b := start(t, Config{StopGrace: 5 * time.Second}, func(ctx context.Context, id string) error {
			<-ctx.Done()
			told, after = context.Cause(ctx), time.Since(removed)
			if id == dashed {
				time.Sleep(4 * time.Second) // less than the grace
			}
			return nil
		})
		b.add(dashed)
		b.wants("+" + dashed)
		time.Sleep(time.Minute)
		removed = time.Now()
		b.remove(plain)
		if !errors.Is(told, ErrRemoved) || after > time.Second {
			t.Errorf("its ctx has ended by %v, %v after it went", told, after)
		}
		b.wantStates(dashed + " stopping")
		time.Sleep(time.Second)
		b.add(plain)
		time.Sleep(2 * time.Second)
		b.wants("") // no second one yet
		b.wantStates(plain + " stopping")
		time.Sleep(time.Second)
		b.wants("-" + dashed + " +" + plain)
		b.wantStates(plain + " running")
		b.stop()
	})
}

// TestW02AddedAndRemovedAHundredTimesASecond: how often its work is started is bounded, and at the end is what the last
// change says.
func TestW02AddedAndRemovedAHundredTimesASecond(t *testing.T) {
	for _, stays := range []bool{true, false} {
		t.Run(fmt.Sprintf("stays=%v", stays), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, Config{MinBackoff: time.Second}, nil)
				b.add("quiet")
				began := time.Now()
				for range 6000 { // a minute
					b.add("flaps")
					time.Sleep(5 * time.Millisecond)
					b.remove("flaps")
					time.Sleep(5 * time.Millisecond)
				}
				starts := strings.Count(b.said(), "+flaps")
				if most := int(time.Since(began)/(time.Second/2)) + 1; starts == 0 || starts > most {
					t.Errorf("its work was started %d times, the most is %d", starts, most)
				}
				want := "quiet running"
				if stays {
					b.add("flaps")
					want = "flaps running, " + want
				}
				time.Sleep(time.Second)
				b.wantStates(want)
				b.stop()
			})
		})
	}
}

// TestW03PanicsFailsAndIgnoresItsCtx: who fails in whatever way is tried again with back-off, who is stuck is named, by
// Status and by no metric, and others do not notice.
func TestW03PanicsFailsAndIgnoresItsCtx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, release := metric.NewManualReader(), make(chan struct{})
		var mu sync.Mutex
		begun := map[string][]time.Time{}
		g, err := NewGroup(Config{
			Limit: 6, StopGrace: time.Second, MinBackoff: time.Second, MaxBackoff: 10 * time.Second,
			MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)),
			Work: func(ctx context.Context, id string) error {
				mu.Lock()
				begun[id] = append(begun[id], time.Now())
				mu.Unlock()
				switch id {
				case "panics":
					panic("oh")
				case "fails":
					return errors.New("no")
				case "exits":
					runtime.Goexit()
				case "stuck":
					<-release
				default:
					<-ctx.Done()
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		b := &bench{t: t, group: g, changes: make(chan tenant.Change), ended: make(chan error, 1), cancel: cancel}
		go func() { b.ended <- g.Run(ctx, b.sequence(ctx)) }()
		b.add("good", "panics", "fails", "exits", "stuck")
		b.remove("stuck")
		time.Sleep(time.Minute)
		synctest.Wait()

		status := g.Status()
		for id, text := range map[string]string{"panics": "panic: oh", "fails": "no", "exits": "the goroutine was ended by runtime.Goexit"} {
			wantRestarts(t, status, begun[id], id, text)
		}
		at := slices.IndexFunc(status.Tenants, func(one TenantStatus) bool { return one.TenantID == "stuck" })
		if at < 0 || status.Tenants[at].State != Overstaying || status.Overstaying != 1 {
			t.Errorf("Status does not name who is stuck: %+v", status)
		}
		if len(begun["good"]) != 1 || len(begun["stuck"]) != 1 {
			t.Errorf("the one that is well was started %d times, the one that is stuck %d", len(begun["good"]), len(begun["stuck"]))
		}
		wantNoTenant(t, reader)

		cancel()
		still, _ := errors.AsType[*StillRunningError](<-b.ended)
		if still == nil || !slices.Equal(still.TenantIDs, []string{"stuck"}) || still.Changes {
			t.Errorf("Run returned %v, want the one that is stuck", still)
		}
		close(release)
	})
}

// wantRestarts holds that the work of a tenant that always fails was begun again and again, with ever longer pauses.
func wantRestarts(t *testing.T, status Status, begun []time.Time, id, text string) {
	t.Helper()
	for i := 1; i < len(begun); i++ {
		bound := min(time.Second<<(i-1), 10*time.Second)
		if pause := begun[i].Sub(begun[i-1]); pause < bound/2 || pause > bound {
			t.Errorf("%s: pause %d was %v, want %v to %v", id, i, pause, bound/2, bound)
		}
	}
	at := slices.IndexFunc(status.Tenants, func(one TenantStatus) bool { return one.TenantID == id })
	if one := status.Tenants[at]; one.Restarts != len(begun)-1 || one.Restarts < 6 || one.LastError == nil || one.LastError.Error() != text {
		t.Errorf("%s: %+v after %d runs, want %q", id, one, len(begun), text)
	}
}

// wantNoTenant holds that nothing measured has labels.
func wantNoTenant(t *testing.T, reader metric.Reader) {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			seen++
			if n := attributes(m); n > 0 {
				t.Errorf("%s has %d labels", m.Name, n)
			}
		}
	}
	if seen < 5 {
		t.Errorf("there are %d metrics", seen)
	}
}

func attributes(m metricdata.Metrics) (n int) {
	switch data := m.Data.(type) {
	case metricdata.Gauge[int64]:
		for _, point := range data.DataPoints {
			n += point.Attributes.Len()
		}
	case metricdata.Sum[int64]:
		for _, point := range data.DataPoints {
			n += point.Attributes.Len()
		}
	}
	return n
}

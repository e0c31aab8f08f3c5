package tenanttest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// setFunc is a Set made of a function.
type setFunc func() []string

func (f setFunc) ActiveTenantIDs() []string { return f() }

// recorded is a testing.TB that keeps what it is failed with.
type recorded struct {
	testing.TB

	failure string
}

func (r *recorded) Helper() {}

func (r *recorded) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestConverges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := tenanttest.NewManager()
		if err := manager.Add(t.Context(), "ledger", "6f1c2a9e-4b7d-4e0f-8a3b-5c6d7e8f9012", "acme"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		set := setFunc(func() []string {
			if time.Since(began) < time.Second {
				return []string{"stranger"}
			}
			return []string{"acme", "6F1C2A9E4B7D4E0F8A3B5C6D7E8F9012"}
		})
		tenanttest.Converges(t, set, manager, "ledger", 2*time.Second)
		if took := time.Since(began); took < time.Second || took > 1100*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestConvergesSaysWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := tenanttest.NewManager()
		if _, err := manager.Seed(t.Context(), "ledger", 20); err != nil {
			t.Fatal(err)
		}
		if err := manager.Add(t.Context(), "crm", "acme"); err != nil {
			t.Fatal(err)
		}
		failing := &recorded{TB: t}
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			tenanttest.Converges(failing, setFunc(func() []string { return []string{"acme"} }), manager, "ledger", time.Minute)
		}()
		<-done
		if !strings.Contains(failing.failure, "…") || !strings.Contains(failing.failure, "not to be there acme") || time.Since(began) != time.Minute {
			t.Errorf("failed with %q after %v", failing.failure, time.Since(began))
		}
	})
}

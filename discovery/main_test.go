package discovery_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/testserver"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(testserver.DriverDials))
}

package abuse

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testserver.Main(m)) }

package abuse

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testserver.Main(m)) }

package redisevents

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestCluster(t *testing.T) {
	redis := testserver.StartRedis(t, "--cluster-enabled", "yes")
	redis.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	eventually(t, "the cluster", func() bool {
		info, _ := redis.Do(t.Context(), "CLUSTER", "INFO").(string)
		return strings.Contains(info, "cluster_state:ok")
	})
	before := takeFootprint(t)
	cfg := Config{Addrs: []string{redis.Addr(), redis.Addr()}, SilenceLimit: soon}
	for _, env := range []string{environment, ""} {
		var got recorder
		stop := listen(t, newFeed(t, cfg, env), got.sink)
		for i := range 20 {
			got.wait(t, tenant.SignalSubscribed, i+1)
			redis.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
			if lost := got.wait(t, tenant.SignalLost, i+1)[i]; !errors.Is(lost.Err, io.EOF) {
				t.Errorf("lost: %v", lost.Err)
			}
		}
		got.wait(t, tenant.SignalSubscribed, 21)
		publisher := newPublisher(t, cfg, EnvironmentChannel)
		publish(t, publisher, 0, 50)
		expectNumbered(t, got.wait(t, tenant.SignalEvent, 50), 0)
		stop()
		if err := publisher.Close(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "no connection at the server", func() bool { return redis.Connections(t.Context()) == 1 })
	expectFootprint(t, before)
}

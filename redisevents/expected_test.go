package redisevents

import (
	"errors"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestASubscriptionSaysWhetherHeartbeatsAreExpected by it.
func TestASubscriptionSaysWhetherHeartbeatsAreExpected(t *testing.T) {
	server := testserver.StartRedis(t)
	server.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">"+canary, "resetchannels", "&tenant-events:*", "-@all", "+subscribe", "+psubscribe", "+ping")
	narrow, off := configOf(server), configOf(server)
	narrow.Username, narrow.Password = "narrow", canary
	off.NoHeartbeats = true
	for _, tt := range []struct {
		name, environment string
		cfg               Config
		want              bool
	}{
		{"an environment", environment, configOf(server), true},
		{"none, and nobody has said which", "", configOf(server), false},
		{"not allowed", environment, narrow, false},
		{"switched off", environment, off, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got recorder
			listen(t, newFeed(t, tt.cfg, tt.environment), got.sink)
			if signal := got.wait(t, tenant.SignalSubscribed, 1)[0]; signal.Heartbeats != tt.want {
				t.Errorf("expected: %v, want %v", signal.Heartbeats, tt.want)
			}
		})
	}
}

// TestTheEnvironmentIsToldWhileItRuns: the feed listens to that one's heartbeats on the connection that it has.
func TestTheEnvironmentIsToldWhileItRuns(t *testing.T) {
	server := testserver.StartRedis(t)
	for _, protocol := range []int{2, 3} {
		feed := newFeed(t, configOf(server), "")
		feed.protocol = protocol
		var got recorder
		stop := listen(t, feed, got.sink)
		got.wait(t, tenant.SignalSubscribed, 1)
		feed.UseEnvironment(" Staging")
		feed.UseEnvironment("staging") // no news
		feed.UseEnvironment("no\nname")
		feed.UseEnvironment("")
		if second := got.wait(t, tenant.SignalSubscribed, 2)[1]; !second.Heartbeats || second.Err != nil {
			t.Errorf("RESP%d: subscribed again as %+v", protocol, second)
		}
		publisher := newPublisher(t, configOf(server), EnvironmentChannel)
		for i, env := range []string{"", environment} { // that of before is nobody's any more
			if err := publisher.Heartbeat(t.Context(), env, tenant.Version{Epoch: "e", Revision: uint64(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if beats := got.wait(t, tenant.SignalHeartbeat, 1); len(beats) != 1 || beats[0].Version.Revision != 1 {
			t.Errorf("RESP%d: heard %v", protocol, beats)
		}
		if lost, all := got.of(tenant.SignalLost), got.of(tenant.SignalSubscribed); len(lost) != 0 || len(all) != 2 {
			t.Errorf("RESP%d: %d lost, %d subscribed", protocol, len(lost), len(all))
		}
		stop()
	}
}

// TestTheEnvironmentIsToldBeforeItRuns, or between two connections.
func TestTheEnvironmentIsToldBeforeItRuns(t *testing.T) {
	server := testserver.StartRedis(t)
	feed := newFeed(t, configOf(server), "")
	feed.UseEnvironment(environment)
	var got recorder
	listen(t, feed, got.sink)
	if first := got.wait(t, tenant.SignalSubscribed, 1)[0]; !first.Heartbeats {
		t.Errorf("subscribed as %+v", first)
	}
	own := newFeed(t, configOf(server), "production")
	own.UseEnvironment(environment)
	if !own.beats.is(HeartbeatChannelName("production")) {
		t.Error("an environment that is configured was changed")
	}
}

// TestTheEnvironmentsHeartbeatsAreForbidden: it is told once, the subscription stays, and none is expected.
func TestTheEnvironmentsHeartbeatsAreForbidden(t *testing.T) {
	server := testserver.StartRedis(t)
	server.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">"+canary, "resetchannels", "&tenant-events:*", "&tenant-heartbeat:default",
		"-@all", "+subscribe", "+psubscribe", "+ping")
	cfg := configOf(server)
	cfg.Username, cfg.Password = "narrow", canary
	for _, protocol := range []int{2, 3} {
		feed := newFeed(t, cfg, "")
		feed.protocol = protocol
		var got recorder
		stop := listen(t, feed, got.sink)
		got.wait(t, tenant.SignalSubscribed, 1)
		feed.UseEnvironment(environment)
		if second := got.wait(t, tenant.SignalSubscribed, 2)[1]; second.Heartbeats || !errors.Is(second.Err, ErrRefused) {
			t.Errorf("subscribed again as %+v", second)
		}
		publish(t, newPublisher(t, configOf(server), EnvironmentChannel), 0, 3)
		expectNumbered(t, got.wait(t, tenant.SignalEvent, 3), 0)
		server.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub")
		if third := got.wait(t, tenant.SignalSubscribed, 3)[2]; third.Heartbeats || third.Err != nil {
			t.Errorf("subscribed on a new connection as %+v", third)
		}
		stop()
	}
}

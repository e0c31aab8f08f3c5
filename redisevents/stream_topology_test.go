package redisevents

import (
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// streamOf follows a stream, with a publisher that adds to it, until the end of the test.
func streamOf(t *testing.T, cfg Config) (*Publisher, *recorder) {
	t.Helper()
	publisher, err := NewPublisher(PublisherConfig{Redis: cfg, Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = publisher.Close() })
	got := &recorder{}
	listen(t, newStream(t, cfg, environment), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	publish(t, publisher, 0, 10)
	got.wait(t, tenant.SignalEvent, 10)
	return publisher, got
}

// expectStreamWentOn checks that the events up to last came in order, each once, without a gap. Only the last one may come
// again, because its publishing was tried until it succeeded.
func expectStreamWentOn(t *testing.T, got *recorder, last int) {
	t.Helper()
	events := got.wait(t, tenant.SignalEvent, last+1)
	expectNumbered(t, events[:last+1], 0)
	if gaps := got.of(tenant.SignalGap); len(gaps) > 0 {
		t.Errorf("told of a gap: %v", gaps[0].Err)
	}
}

// TestD22StreamOverAFailover: it goes on at the new master where it was at the old one.
func TestD22StreamOverAFailover(t *testing.T) {
	t.Parallel()
	s := testserver.StartSentinels(t)
	cfg := Config{Addrs: s.Addrs(), MasterName: s.Name, SilenceLimit: 5 * time.Second}
	publisher, got := streamOf(t, cfg)
	if n := s.Servers[0].Do(t.Context(), "WAIT", 1, soon.Milliseconds()); n != int64(1) {
		t.Fatalf("%v replicas have the events", n)
	}
	s.Sentinels[0].Pause() // also with one that does not answer
	s.Servers[0].Kill()
	got.wait(t, tenant.SignalLost, 1)
	got.wait(t, tenant.SignalSubscribed, 2)
	eventually(t, "the publisher to find the new master", func() bool {
		return publisher.Publish(t.Context(), numbered(10)) == nil
	})
	s.Sentinels[0].Resume()
	expectStreamWentOn(t, got, 10)
}

// TestStreamOfAClusterWhoseOwnerIsKilled and comes back with what it had saved.
func TestStreamOfAClusterWhoseOwnerIsKilled(t *testing.T) {
	t.Parallel()
	cluster := testserver.StartCluster(t)
	cfg := Config{Addrs: cluster.Addrs(), SilenceLimit: 5 * time.Second}
	publisher, got := streamOf(t, cfg)
	for range 5 { // so many do not hit upon the owner by chance
		var first recorder
		stop := listen(t, newStream(t, cfg, environment), first.sink)
		first.wait(t, tenant.SignalSubscribed, 1)
		stop()
		if lost := first.of(tenant.SignalLost); len(lost) > 0 {
			t.Errorf("not connected to the owner at once: %v", lost[0].Err)
		}
	}
	var owner *testserver.Redis
	for _, node := range cluster.Nodes {
		if node.Client().DBSize(t.Context()).Val() > 0 {
			owner = node
		}
	}
	owner.Do(t.Context(), "SAVE")
	owner.Kill()
	got.wait(t, tenant.SignalLost, 2)
	if n := got.count(tenant.SignalSubscribed); n != 1 {
		t.Errorf("%d subscriptions while nobody has the stream", n)
	}
	owner.Start()
	got.wait(t, tenant.SignalSubscribed, 2)
	eventually(t, "the publisher to find the owner", func() bool {
		return publisher.Publish(t.Context(), numbered(10)) == nil
	})
	expectStreamWentOn(t, got, 10)
}

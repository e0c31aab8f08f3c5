package main

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/tenanttest"
)

// notOnTheFake are the scenes that tenanttest cannot play, by their request, each with its reason. They only read.
var notOnTheFake = map[string]string{
	"> GET /v1/tenants/active?service=payments\n": "the one key of the fake is every service's",
	"> GET /v1/tenants/active?service=nobody\n":   "the same",
	"> GET /v1/tenants/{acme}/associations/ledger/connections\n> Authorization: Bearer {token}\n> X-API-Key: -\n": "" +
		"no service is known to the fake by a key alone",
}

// TestTheFakeAnswersAsTheGoldenFilesSay plays the golden files of the manager to the one that others test with. It may refuse
// and announce nothing that the manager does not, and the other way round.
func TestTheFakeAnswersAsTheGoldenFilesSay(t *testing.T) {
	w := newFakeWire(t)
	for _, file := range goldenFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) { w.replay(t, file) })
	}
	if w.left != len(notOnTheFake) {
		t.Errorf("%d scenes were not played, and %d have a reason", w.left, len(notOnTheFake))
	}
}

func newFakeWire(t *testing.T) *wire {
	t.Helper()
	server := testserver.StartRedis(t)
	publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: redisevents.Config{Addrs: []string{server.Addr()}}, Channels: redisevents.BothChannels})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = publisher.Close() })
	publish := func(ctx context.Context, evt tenant.Event) error {
		evt.Timestamp = evt.Timestamp.Truncate(time.Microsecond).Add(1) // JSON leaves zeros at the end of a time out
		return publisher.Publish(ctx, evt)
	}
	fake := tenanttest.NewManager(tenanttest.WithEnvironment("staging"), tenanttest.WithPublisher(publish))
	listening := httptest.NewServer(fake)
	t.Cleanup(listening.Close)
	w := connectWire(t, listening.URL, server.Addr(), fake.APIKey(), fake.Token())
	w.settle, w.notPlayed = func(*testing.T) {}, notOnTheFake // a change is answered when it is published
	return w
}

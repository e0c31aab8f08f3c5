package redisevents

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/tenant"
)

func TestPublishRefusesWhatNobodyWouldRead(t *testing.T) {
	publisher := newPublisher(t, Config{Host: "127.0.0.1", Port: "1"}, BothChannels)
	for name, event := range map[string]tenant.Event{
		"no type":     {TenantID: "t1"},
		"no tenant":   {EventType: tenant.EventCreated},
		"too large":   {EventType: tenant.EventCreated, TenantID: "t1", TenantSlug: strings.Repeat("x", tenant.MaxEventBytes)},
		"bad payload": {EventType: tenant.EventCreated, TenantID: "t1", Payload: []byte("{")},
	} {
		if err := publisher.Publish(t.Context(), event); !errors.Is(err, tenant.ErrInvalidEvent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPublishArrivesAsItWas(t *testing.T) {
	redis := testserver.StartRedis(t)
	want := tenant.Event{
		EventID: "e", EventType: tenant.EventServiceAssociated, TenantID: "t1", TenantSlug: "acme", Environment: environment,
		Timestamp: time.Date(2026, 3, 27, 14, 45, 0, 123456000, time.UTC), Payload: []byte(`{"service_name":"ledger"}`),
		Epoch: "a", Revision: 7,
	}
	var got recorder
	listen(t, newFeed(t, configOf(redis), ""), got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	if err := newPublisher(t, configOf(redis), BothChannels).Publish(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	for _, signal := range got.wait(t, tenant.SignalEvent, 2) { // once per channel
		event := signal.Event
		if string(event.Payload) != string(want.Payload) || !event.Timestamp.Equal(want.Timestamp) ||
			event.EventID != want.EventID || event.Version() != want.Version() || event.TenantSlug != want.TenantSlug {
			t.Errorf("arrived as %+v", event)
		}
	}
}

func TestPublishWithoutRedis(t *testing.T) {
	redis := testserver.StartRedis(t)
	publisher := newPublisher(t, configOf(redis), EnvironmentChannel)
	publish(t, publisher, 0, 1)
	redis.Kill()
	if err := publisher.Publish(t.Context(), numbered(1)); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("published: %v", err)
	}
	redis.Start()
	publish(t, publisher, 2, 3)
}

func TestPublishHeedsTheDeadline(t *testing.T) {
	redis := testserver.StartRedis(t)
	proxy := testserver.NewProxy(t, redis.Addr())
	publisher := newPublisher(t, behind(proxy, 0), EnvironmentChannel)
	publish(t, publisher, 0, 1)
	proxy.Set(testserver.Silence)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := publisher.Publish(ctx, numbered(1)); err == nil {
		t.Error("published into the silence")
	}
	if took := time.Since(began); took > publishTimeout-time.Second {
		t.Errorf("Publish returned after %s", took)
	}
}

// TestWhatWasGivenUpIsNotSentLater: a server that has not answered in time sees the connection reset, not ended. The kernel
// does not go on sending what is on its way then, so that it cannot come behind what the next connection sends.
func TestWhatWasGivenUpIsNotSentLater(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	ended := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
		ended <- err
	}()
	host, port, _ := net.SplitHostPort(listener.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := newPublisher(t, Config{Host: host, Port: port}, EnvironmentChannel).Publish(ctx, numbered(1)); err == nil {
		t.Error("published to nobody")
	}
	if err := <-ended; err == nil {
		t.Error("the connection was ended, and what is on its way will arrive")
	}
}

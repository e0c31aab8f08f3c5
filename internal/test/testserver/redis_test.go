package testserver_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(testserver.Main(m), goleak.IgnoreAnyFunction(testserver.DriverDials))
}

func TestRedisIsKilledAndStartedAgainOnTheSamePort(t *testing.T) {
	r := testserver.StartRedis(t)
	addr := r.Addr()
	if got := r.Do(t.Context(), "SET", "key", "value"); got != "OK" {
		t.Fatalf("SET answered %v", got)
	}
	r.Kill()
	if err := r.Client().Ping(t.Context()).Err(); err == nil {
		t.Fatal("a killed server answered")
	}
	r.Kill() // once more does nothing
	r.Start()
	if r.Addr() != addr {
		t.Errorf("the server moved from %s to %s", addr, r.Addr())
	}
	if got := r.Do(t.Context(), "GET", "key"); got != nil {
		t.Errorf("the new server still has %v", got)
	}
}

func TestRedisPaused(t *testing.T) {
	r := testserver.StartRedis(t)
	if got := r.Connections(t.Context()); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
	r.Pause()
	answer := make(chan error, 1)
	go func() { answer <- r.Client().Ping(t.Context()).Err() }()
	select {
	case err := <-answer:
		t.Errorf("a stopped server answered: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	r.Resume()
	if err := <-answer; err != nil {
		t.Error(err)
	}
}

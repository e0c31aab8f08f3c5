package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestX45WhoComesTooEarlyIsTold that the process lives and is not ready, and gets the server on the same listener later.
func TestX45WhoComesTooEarlyIsTold(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		t.Fatalf("a listener of another kind: %T", listener)
	}
	base := "http://" + listener.Addr().String()
	var migrating atomic.Bool
	end := WaitingRoom(slog.New(slog.DiscardHandler), nil, migrating.Load, tcp)
	if got := ask(t, base+"/readyz"); !strings.HasPrefix(got, "503 ") || !strings.Contains(got, `"STARTING"`) || strings.Contains(got, "igrat") {
		t.Errorf("before anything is migrated: %s", got)
	}
	migrating.Store(true)
	for path, want := range map[string]string{
		"/healthz": `200 {"status":"ok"}`, "/readyz": "503 MIGRATING", "/v1/tenants/active?service=ledger": "503 MIGRATING", "/": "503 MIGRATING",
		"/./v1/tenants/active": "503 MIGRATING", // and no redirect
	} {
		got := ask(t, base+path)
		if status, text, _ := strings.Cut(want, " "); !strings.HasPrefix(got, status) || !strings.Contains(got, text) {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil { // once more does nothing
		t.Fatal(err)
	}
	later := &http.Server{ReadHeaderTimeout: headerTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the server")
	})}
	served := make(chan error, 1)
	go func() { served <- later.Serve(listener) }()
	if got := ask(t, base+"/readyz"); got != "200 the server" {
		t.Errorf("later: %s", got)
	}
	if err := later.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// ask returns the status and the body.
func ask(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Status[:3] + " " + strings.TrimSpace(string(body))
}

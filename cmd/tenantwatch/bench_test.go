package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/abuse"
	"github.com/tenantwatch/tenantwatch/cmd/internal/server"
	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// bench runs "bench abuse" in a process of its own, since that is what it starts again.
func runBench(t *testing.T, args ...string) *launched {
	t.Helper()
	return startProcess(t, nil, append([]string{"bench", "abuse"}, args...)...)
}

// TestX36BenchAbuseAttacksAndPrintsATable: each attack, for a moment. What is felt on a machine that is busy with tests says
// nothing, so that it may end either way.
func TestX36BenchAbuseAttacksAndPrintsATable(t *testing.T) {
	t.Parallel()
	p := runBench(t, "--json", "--rounds", "1", "--duration", "100ms", "--streams", "20", "--history", "40", "--callers", "16", "--samples", "1")
	err := p.cmd.Wait()
	var attacks []string
	felt := 0
	decoder := json.NewDecoder(bytes.NewReader([]byte(p.out.String())))
	for decoder.More() {
		var r abuse.Result
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Felt == 0 || r.With == 0 || r.Without == 0 || r.Served+r.Repelled == 0 || r.Problem != "" {
			t.Errorf("nothing was measured, or nothing was attacked: %+v", r)
		}
		if !r.Passed {
			felt++
		}
		attacks = append(attacks, r.Attack)
	}
	if len(attacks) != len(abuse.Names()) || !slices.Contains(attacks, "20 streams from far back") {
		t.Errorf("the attacks were %q\n%s", attacks, p.err.String())
	}
	if (err != nil) != (felt > 0) {
		t.Errorf("%d attacks were felt, and it ended with %v\n%s", felt, err, p.err.String())
	}
}

// benchedManager is a manager in this process, with something in front of it.
type benchedManager struct {
	store *store.Store
	flags []string // that name it
}

func newBenchedManager(t *testing.T, inFront func(http.Handler) http.Handler) benchedManager {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	if err := writeCertificate(file("cert.pem"), file("key.pem")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("encryption-key"), []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := database{dsn: schemeSQLite + file("tenants.db"), environment: benchEnvironment, keyFile: file("encryption-key")}
	token, err := d.createToken(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("token"), []byte(token.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	m := benchedManager{flags: []string{"--token-file", file("token"), "--manager-ca-file", file("cert.pem")}}
	if m.store, err = d.open(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.store.Close() })
	s, err := server.New(server.Config{Store: m.store})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(file("cert.pem"), file("key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewUnstartedServer(inFront(s.Handler()))
	listening.EnableHTTP2, listening.TLS = true, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	listening.StartTLS()
	t.Cleanup(func() {
		_ = s.Close(context.WithoutCancel(t.Context()))
		listening.Close()
	})
	m.flags = append(m.flags, "--manager-url", listening.URL)
	return m
}

// TestX36AFairManagerPassesBenchAbuse, and has nothing left of it. Each request takes so long by itself that what else this
// machine does is nothing beside it.
func TestX36AFairManagerPassesBenchAbuse(t *testing.T) {
	m := newBenchedManager(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && r.URL.Path != "/readyz" || r.Method == http.MethodPatch {
				<-time.After(200 * time.Millisecond)
			}
			next.ServeHTTP(w, r)
		})
	})
	p := runBench(t, append(m.flags, "--rounds", "3", "--duration", "500ms", "--history", "2", "--callers", "4", "--samples", "1", "--attack", "readyz")...)
	if err := p.cmd.Wait(); err != nil || !strings.Contains(p.out.String(), " ok") {
		t.Fatalf("%v\n%s%s", err, p.out.String(), p.err.String())
	}
	page, err := m.store.Tenants(t.Context(), store.TenantFilter{Limit: 10})
	if err != nil || len(page.Tenants) != 0 {
		t.Errorf("%d tenants are left, and %v", len(page.Tenants), err)
	}
	keys, err := m.store.Keys(t.Context(), "")
	if err != nil || slices.ContainsFunc(keys, func(k store.Key) bool { return k.RevokedAt.IsZero() }) {
		t.Errorf("a key is left: %+v, and %v", keys, err)
	}
}

// TestX36AnUnfairManagerFailsBenchAbuse: who asks /readyz is all that it serves for a while.
func TestX36AnUnfairManagerFailsBenchAbuse(t *testing.T) {
	var asked atomic.Pointer[time.Time]
	m := newBenchedManager(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			now := time.Now()
			if r.URL.Path == "/readyz" {
				asked.Store(&now)
			} else if at := asked.Load(); at != nil && now.Sub(*at) < time.Second {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	p := runBench(t, append(m.flags, "--rounds", "1", "--duration", "300ms", "--history", "2", "--callers", "4", "--samples", "1", "--attack", "readyz")...)
	err := p.cmd.Wait()
	if p.cmd.ProcessState.ExitCode() != exitFailure || !strings.Contains(p.out.String(), "FELT") || !strings.Contains(p.err.String(), "felt by a good client") {
		t.Fatalf("%v\n%s%s", err, p.out.String(), p.err.String())
	}
	if strings.Contains(p.err.String(), "still there") {
		t.Errorf("something is left, although the manager takes it back a moment later:\n%s", p.err.String())
	}
}

// TestX36BenchAbuseThatIsEndedByCtrlC shows what it has measured and does not judge it: half of a measurement is not a result. That
// something is left of it is a failure all the same.
func TestX36BenchAbuseThatIsEndedByCtrlC(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	results := []abuse.Result{{Attack: "readyz", Felt: 1}, {Attack: "lists", Problem: "no answer"}}
	left := &abuse.LeftError{Err: errors.New("2 keys are left")}
	for _, tt := range []struct {
		name string
		ctx  context.Context //nolint:containedctx // a row of a table
		err  error
		want []string // parts of the error; none at all without
	}{
		{"Ctrl-C", ended, context.Canceled, nil},
		{"Ctrl-C, and something is left", ended, errors.Join(context.Canceled, left), []string{left.Error()}},
		{"something is left", t.Context(), left, []string{left.Error(), "1 of 2 attacks were felt"}},
		{"all was measured before Ctrl-C", ended, nil, []string{"1 of 2 attacks were felt"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, problems bytes.Buffer
			std := streams{out: &printer{w: &out}, err: &printer{w: &problems}}
			err := new(benchAbuseCommand).conclude(tt.ctx, std, results, tt.err)
			if err != nil && len(tt.want) == 0 || err == nil && len(tt.want) > 0 {
				t.Errorf("it ends with %v, want %q", err, tt.want)
			}
			for _, part := range tt.want {
				if err != nil && !strings.Contains(err.Error(), part) {
					t.Errorf("it ends with %v, want %q", err, tt.want)
				}
			}
			for _, part := range []string{"readyz", "FELT", "lists", "NO RESULT"} {
				if !strings.Contains(out.String(), part) {
					t.Errorf("%q is not in\n%s", part, &out)
				}
			}
			if !strings.Contains(problems.String(), "lists: no result: no answer") {
				t.Errorf("it says %s", &problems)
			}
		})
	}
}

// TestBenchAbuseRefusesAManagerElsewhere, and whatever else makes no sense.
func TestBenchAbuseRefusesAManagerElsewhere(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"not of this machine":  {"--manager-url", "https://tenants.example.com", "--token-file", "t"},
		"has to be https":      {"--manager-url", "http://127.0.0.1:8080", "--token-file", "t"},
		"needs --token-file":   {"--manager-url", "https://127.0.0.1:8080"},
		"are for":              {"--token-file", "t"},
		"--rounds has to be":   {"--rounds", "0"},
		"--duration has to be": {"--duration", "1h"},
		"--streams has to be":  {"--streams", "1000000"},
		"--history has to be":  {"--history", "0"},
		"--callers has to be":  {"--callers", "0"},
		"--samples has to be":  {"--samples", "0"},
		"there are readyz,":    {"--attack", "tanks"},
	} {
		p := runBench(t, args...)
		if err := p.cmd.Wait(); err == nil || p.cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(p.err.String(), want) {
			t.Errorf("%q: %v\n%s", args, err, p.err.String())
		}
	}
}

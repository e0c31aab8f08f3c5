package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/abuse"
)

// bench runs "bench abuse" in a process of its own, since that is what it starts again.
func runBench(t *testing.T, args ...string) *process {
	t.Helper()
	return startProcess(t, nil, append([]string{"bench", "abuse"}, args...)...)
}

// TestX36BenchAbuseAttacksAndPrintsATable: each attack, for a moment. What is felt on a machine that is busy with tests says
// nothing, so that it may end either way.
func TestX36BenchAbuseAttacksAndPrintsATable(t *testing.T) {
	p := runBench(t, "--json", "--rounds", "1", "--duration", "100ms", "--streams", "50", "--history", "40")
	err := p.cmd.Wait()
	var attacks []string
	felt := 0
	decoder := json.NewDecoder(bytes.NewReader([]byte(p.out.String())))
	for decoder.More() {
		var r abuse.Result
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Felt == 0 || r.With == 0 || r.Without == 0 {
			t.Errorf("nothing was measured: %+v", r)
		}
		if !r.Passed {
			felt++
		}
		attacks = append(attacks, r.Attack)
	}
	for _, want := range []string{"256 callers of /readyz", "all streams by one key", "lists that nobody takes", "150 streams from far back", "broken TLS handshakes"} {
		if !slices.Contains(attacks, want) {
			t.Errorf("%q is not among %q\n%s", want, attacks, p.err.String())
		}
	}
	if (err != nil) != (felt > 0) {
		t.Errorf("%d attacks were felt, and it ended with %v\n%s", felt, err, p.err.String())
	}
}

// TestBenchAbuseRefusesAManagerElsewhere, and whatever else makes no sense.
func TestBenchAbuseRefusesAManagerElsewhere(t *testing.T) {
	for want, args := range map[string][]string{
		"not of this machine":  {"--manager-url", "https://tenants.example.com", "--token-file", "t"},
		"has to be https":      {"--manager-url", "http://127.0.0.1:8080", "--token-file", "t"},
		"needs --token-file":   {"--manager-url", "https://127.0.0.1:8080"},
		"are for":              {"--token-file", "t"},
		"--rounds has to be":   {"--rounds", "0"},
		"--duration has to be": {"--duration", "1h"},
		"--streams has to be":  {"--streams", "1000000"},
		"--history has to be":  {"--history", "0"},
	} {
		p := runBench(t, args...)
		if err := p.cmd.Wait(); err == nil || p.cmd.ProcessState.ExitCode() != exitUsage || !strings.Contains(p.err.String(), want) {
			t.Errorf("%q: %v\n%s", args, err, p.err.String())
		}
	}
}

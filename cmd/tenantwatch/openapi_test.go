package main

import (
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var withOpenAPI = flag.Bool("openapi", false, "lint the OpenAPI document, and let clients that are generated from it make their calls")

// callsOfAClient is how many calls each generated client makes at least.
const callsOfAClient = 8

// TestX22ClientsThatAreGenerated needs npm, and what it installs: make openapi runs it.
func TestX22ClientsThatAreGenerated(t *testing.T) {
	if !*withOpenAPI {
		t.Skip("make openapi runs it")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("there is no npm, which lints the OpenAPI document and makes a client of it")
		}
		t.Skip("SKIPPED: there is no npm, so nothing lints the OpenAPI document and no client is made of it: install Node.js")
	}
	s := startServe(t, "sqlite:"+filepath.Join(t.TempDir(), "t.db"))
	token, _ := strings.CutPrefix(s.env[0], "TENANTWATCH_TOKEN=")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // most of it for what is installed the first time
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../scripts/openapi/run", fetchDocument(t, s.ready.ManagerURL))
	cmd.Env = append(os.Environ(), "OPENAPI_URL="+s.ready.ManagerURL, "OPENAPI_TOKEN="+token)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	lint, rest, _ := strings.Cut(string(out), "== TypeScript")
	if !strings.Contains(lint, "Your API description is valid") || strings.Contains(lint, "warning") {
		t.Error("the document has a warning: mend it, or say here why it stays")
	}
	script, compiled, _ := strings.Cut(rest, "== Go")
	for name, said := range map[string]string{"TypeScript": script, "Go": compiled} {
		if strings.Count(said, "\n") < callsOfAClient || !strings.Contains(said, "delete-tenant 204") {
			t.Errorf("the client of %s said %s", name, said)
		}
	}
	s.interrupt()
}

func fetchDocument(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/openapi.json", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	path := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

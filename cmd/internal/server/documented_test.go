package server

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// documented are the statuses that the OpenAPI document names, by method and path, once a manager of the tests was made.
var documented struct {
	sync.Mutex

	calls map[string]map[string]json.RawMessage
}

// checkDocumented: whatever a test is about, the document has to name each status that a call answers.
func (h *served) checkDocumented(t testing.TB, method, path string, status int) {
	t.Helper()
	documented.Lock()
	defer documented.Unlock()
	path, _, _ = strings.Cut(path, "?")
	call := callOf(documented.calls, method+" "+path)
	if call == "" || status == http.StatusInternalServerError {
		return
	}
	if _, ok := documented.calls[call][strconv.Itoa(status)]; !ok {
		t.Errorf("the OpenAPI document does not say that %s may be answered with %d", call, status)
	}
}

// learnDocumented asks a server of its own over the store, whose log nobody reads.
func learnDocumented(t testing.TB, over *store.Store) {
	t.Helper()
	documented.Lock()
	defer documented.Unlock()
	if documented.calls != nil {
		return
	}
	s, err := New(Config{Store: over, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	s.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/openapi.json", http.NoBody))
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &doc); err != nil || len(doc.Paths) == 0 {
		t.Fatalf("the OpenAPI document: %d, %v", answer.Code, err)
	}
	out := map[string]map[string]json.RawMessage{}
	for path, calls := range doc.Paths {
		for method, call := range calls {
			out[strings.ToUpper(method)+" "+path] = call.Responses
		}
	}
	documented.calls = out
}

// callOf is the call of a request, the one with the fewest parameters, or empty.
func callOf(calls map[string]map[string]json.RawMessage, request string) string {
	found := ""
	for call := range calls {
		if isCallOf(call, request) && (found == "" || strings.Count(call, "{") < strings.Count(found, "{")) {
			found = call
		}
	}
	return found
}

func isCallOf(call, request string) bool {
	want, got := strings.Split(call, "/"), strings.Split(request, "/")
	if len(want) != len(got) {
		return false
	}
	for i, part := range want {
		if part != got[i] && !strings.HasPrefix(part, "{") {
			return false
		}
	}
	return true
}

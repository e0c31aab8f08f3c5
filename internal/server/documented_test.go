package server

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// documented are the statuses that the OpenAPI document names, by method and path, once a manager of the tests has answered it.
var documented struct {
	sync.Mutex

	calls map[string]map[string]json.RawMessage
}

// checkDocumented: whatever a test is about, the document has to name each status that a call answers.
func (h *served) checkDocumented(t testing.TB, method, path string, status int) {
	t.Helper()
	documented.Lock()
	defer documented.Unlock()
	if documented.calls == nil {
		documented.calls = h.documentedCalls()
	}
	path, _, _ = strings.Cut(path, "?")
	call := callOf(documented.calls, method+" "+path)
	if call == "" || status == http.StatusInternalServerError {
		return
	}
	if _, ok := documented.calls[call][strconv.Itoa(status)]; !ok {
		t.Errorf("the OpenAPI document does not say that %s may be answered with %d", call, status)
	}
}

// documentedCalls is nil for a manager that does not answer now.
func (h *served) documentedCalls() map[string]map[string]json.RawMessage {
	resp, err := h.client.Get(h.url + "/openapi.json")
	if err != nil {
		return nil
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]json.RawMessage
		}
	}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(resp.Body).Decode(&doc) != nil {
		return nil
	}
	out := map[string]map[string]json.RawMessage{}
	for path, calls := range doc.Paths {
		for method, call := range calls {
			out[strings.ToUpper(method)+" "+path] = call.Responses
		}
	}
	return out
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

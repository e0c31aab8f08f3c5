package abuse

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// Decoy answers as a manager does, as far as an attacker sees, and does no work for it. It asks for no credentials and has
// nothing to give away. It keeps at most so many streams open, and refuses the others, as a manager does.
func Decoy(streams int) http.Handler {
	var open atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"ready"}`)) // the attack is over
	})
	list := []byte("[" + strings.Repeat(`{"id":"00000000-0000-0000-0000-000000000000","name":"row","status":"active"},`, manyRows) + "null]")
	mux.HandleFunc("/v1/tenants/active", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Tenant-Set-Epoch", "decoy")
		_, _ = w.Write(list) // the same
	})
	mux.HandleFunc("/v1/tenants/events", func(w http.ResponseWriter, r *http.Request) {
		defer open.Add(-1)
		if open.Add(1) > int64(streams) {
			http.Error(w, "too many streams", http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // the same
		if r.Header.Get("Last-Event-ID") != "" {
			flow(w, r)
		}
		<-r.Context().Done()
	})
	return mux
}

// flow sends as much as a history has.
func flow(w http.ResponseWriter, r *http.Request) {
	const events, batch = 4_000, 256
	some := []byte(strings.Repeat("id: decoy:1\ndata: "+strings.Repeat("x", 300)+"\n\n", batch))
	for range events / batch {
		if _, err := w.Write(some); err != nil || r.Context().Err() != nil {
			return
		}
	}
}

// ShareOf is how many streams one key gets of a manager that has so many: half of them, as it always leaves free as much as
// one service has.
func ShareOf(streams int) int { return max(1, streams/2) }

package server

import (
	"context"
	"net/http"
	"net/http/pprof"
	"time"
)

// readyTimeout is how long the database may take to say that it can be written.
const readyTimeout = 2 * time.Second

// health is the body of both.
type health struct {
	Status string `json:"status"`
}

// adminHandler is for operators.
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	s.registerHealth(mux)
	mux.Handle("GET /metrics", s.metrics.handler)
	if s.cfg.Profiling {
		mux.HandleFunc("GET /debug/pprof/", patient(pprof.Index))
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", patient(pprof.Profile))
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", patient(pprof.Trace))
	}
	return mux
}

// patient lets a profile take as long as an operator asks for; without it net/http takes the end of the time for reading
// for the client's going away. For the answer pprof does the same itself.
func patient(profile http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a test's recorder has none
		profile(w, r)
	}
}

// registerHealth adds what says whether the process lives, and whether it should be sent requests.
func (s *Server) registerHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		_ = writeJSON(w, health{"ok"}) // it has a JSON form
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			writeError(w, r, refuse(http.StatusServiceUnavailable, "SHUTTING_DOWN", "the manager is shutting down"))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := s.store.Ping(ctx); err != nil {
			writeError(w, r, refuse(http.StatusServiceUnavailable, "UNAVAILABLE", "the database does not answer"))
			return
		}
		w.Header().Set("Content-Type", jsonType)
		_ = writeJSON(w, health{"ready"}) // it has a JSON form
	})
}

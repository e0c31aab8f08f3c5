package server

import (
	"context"
	"net/http"
	"net/http/pprof"
	"time"
)

// readyTimeout is how long the database may take to say that it can be written.
const readyTimeout = 2 * time.Second

// codeShuttingDown is why /readyz fails at the end.
const codeShuttingDown = "SHUTTING_DOWN"

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
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// registerHealth adds what says whether the process lives, and whether it should be sent requests.
func (s *Server) registerHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", jsonType)
		_ = writeJSON(w, health{"ok"}) // it has a JSON form
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			writeError(w, r, refuse(http.StatusServiceUnavailable, codeShuttingDown, "the manager is shutting down"))
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

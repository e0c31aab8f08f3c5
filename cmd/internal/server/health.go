package server

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"
)

// readyTimeout is how long the database may take to say that it can be written. Anybody may ask, and each probe is a
// change, so its answer is everybody's for a while.
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
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET "+readyPath, s.serveReady)
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

// serveHealth says that the process lives.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_ = writeJSON(w, health{"ok"}) // it has a JSON form
}

// serveReady says whether the process should be sent requests.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		writeError(w, r, refuse(http.StatusServiceUnavailable, codeShuttingDown, "the manager is shutting down"))
		return
	}
	if err := s.probe(r.Context()); err != nil {
		writeError(w, r, refuse(http.StatusServiceUnavailable, "UNAVAILABLE", "the database cannot be written"))
		return
	}
	w.Header().Set("Content-Type", jsonType)
	_ = writeJSON(w, health{"ready"}) // it has a JSON form
}

// readiness is whether changes can be made, as far as it was last seen.
type readiness struct {
	*once

	failing bool // as the log has it; for the one that asks
}

// probe writes to the database, unless somebody has done so within a second, and says in the log when that has changed.
func (s *Server) probe(ctx context.Context) error {
	return s.ready.ask(ctx, readyTimeout, func(ctx context.Context) error {
		err := s.ping(ctx)
		switch {
		case err != nil && !s.ready.failing:
			s.log.LogAttrs(ctx, slog.LevelError, "not ready: the database cannot be written", slog.String("error", err.Error()))
		case err == nil && s.ready.failing:
			s.log.LogAttrs(ctx, slog.LevelInfo, "ready again: the database can be written")
		}
		s.ready.failing = err != nil
		return err
	})
}

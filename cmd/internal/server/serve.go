package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// The bounds of every connection. writeTimeout is for what comes after the database has answered; answers that take longer
// move the deadline along as they get through.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// Serve serves the public handler on public and the admin handler on admin, which may be nil, until ctx ends, and closes
// both listeners. Then /readyz fails for ShutdownDelay while everything else goes on, streams are ended, requests under
// way are finished, for at most ShutdownTimeout, and Serve returns nil. Requests that were not finished by then are an
// error, and so is a listener that fails. Serve can be called once.
func (s *Server) Serve(ctx context.Context, public, admin net.Listener) error {
	servers := []*http.Server{s.httpServer(s.public)}
	listeners := []net.Listener{public}
	if admin != nil {
		servers = append(servers, s.httpServer(s.admin))
		listeners = append(listeners, admin)
	}
	failed := make(chan error, len(servers))
	for i, server := range servers {
		go func() { failed <- server.Serve(listeners[i]) }()
	}
	var keeping sync.WaitGroup
	pruning, stop := context.WithCancel(ctx)
	keeping.Go(func() { s.pruneAudit(pruning) })
	err := s.untilDone(ctx, failed)
	stop()
	keeping.Wait()
	ended := 0
	if err != nil {
		ended = 1
	}
	err = errors.Join(err, s.shutDown(context.WithoutCancel(ctx), servers))
	for ; ended < len(servers); ended++ {
		if stopped := <-failed; !errors.Is(stopped, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("serve: %w", stopped))
		}
	}
	return err
}

// auditEvery is how often rows of the audit that were kept long enough are deleted.
const auditEvery = time.Hour

// pruneAudit goes on until ctx ends.
func (s *Server) pruneAudit(ctx context.Context) {
	if s.cfg.KeepAudit < 0 {
		return
	}
	next := time.NewTicker(auditEvery)
	defer next.Stop()
	for {
		if _, err := s.store.PruneAudit(ctx, time.Now().Add(-s.cfg.KeepAudit)); err != nil && ctx.Err() == nil {
			s.log.LogAttrs(ctx, slog.LevelWarn, "old rows of the audit were not deleted; they will be, within an hour or so", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// untilDone waits until ctx ends and the delay is over, or a listener fails.
func (s *Server) untilDone(ctx context.Context, failed <-chan error) error {
	select {
	case err := <-failed:
		s.draining.Store(true)
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "shutting down: not ready any more", slog.String("delay", s.cfg.ShutdownDelay.String()))
	delay := time.NewTimer(s.cfg.ShutdownDelay)
	defer delay.Stop()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-delay.C:
		return nil
	}
}

// shutDown ends the servers in their order, so that the admin's tells of the end of the public one.
func (s *Server) shutDown(ctx context.Context, servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ShutdownTimeout)
	defer cancel()
	s.endStreams()
	var errs []error
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("shut down: requests were not finished: %w", err), server.Close())
		}
	}
	return errors.Join(append(errs, s.Close(ctx))...)
}

func (s *Server) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout + 2*s.cfg.RequestTimeout, // for the key, and for the call
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// "OPTIONS *" asks for credentials like everything else.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(s.noise, slog.LevelWarn),
	}
}

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Why nothing is served yet.
const (
	codeStarting  = "STARTING"
	codeMigrating = "MIGRATING"
)

// roomTimeout is how long who is in the waiting room may take to leave it.
const roomTimeout = time.Second

// WaitingRoom serves on the listeners before there is a server: it says that the process lives, and that it is not ready. A
// migration may take hours, and whoever watches the process would end it if nothing answered. secure is nil for plain HTTP.
// migrating reports whether it is a migration that takes so long, and is called by many at once.
//
// end stops it and leaves the listeners open, for Serve. Those who come meanwhile wait for that.
func WaitingRoom(logger *slog.Logger, secure *tls.Config, migrating func() bool, listeners ...*net.TCPListener) (end func() error) {
	room := &http.Server{
		Handler: waitingHandler(migrating), ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: readTimeout,
		MaxHeaderBytes: maxHeaderBytes, DisableGeneralOptionsHandler: true,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	lent := make([]*lentListener, len(listeners))
	var serving sync.WaitGroup
	for i, listener := range listeners {
		lent[i] = &lentListener{TCPListener: listener}
		var on net.Listener = lent[i]
		if secure != nil {
			on = tls.NewListener(on, secure)
		}
		serving.Go(func() { _ = room.Serve(on) }) // it ends by being closed
	}
	return sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), roomTimeout)
		defer cancel()
		if room.Shutdown(ctx) != nil {
			_ = room.Close() // who dawdles is sent away
		}
		serving.Wait()
		var errs []error
		for _, l := range lent {
			errs = append(errs, l.SetDeadline(time.Time{}))
		}
		return errors.Join(errs...)
	})
}

// waitingHandler keeps nobody's connection, so that a client that asks again gets the server that is there by then. It has no mux, which
// would redirect who spells a path in another way.
func waitingHandler(migrating func() bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		if r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			w.Header().Set("Content-Type", jsonType)
			_ = writeJSON(w, health{"ok"}) // it has a JSON form
			return
		}
		writeError(w, r, notYet(migrating()).with("Retry-After", "5"))
	})
}

func notYet(migrating bool) *apiError {
	if migrating {
		return refuse(http.StatusServiceUnavailable, codeMigrating, "the manager is starting: the database is being migrated to its schema, which takes its time")
	}
	return refuse(http.StatusServiceUnavailable, codeStarting, "the manager is starting: it opens the database")
}

// lentListener is not closed by its borrower.
type lentListener struct {
	*net.TCPListener

	over atomic.Bool
}

// Accept returns net.ErrClosed after Close.
func (l *lentListener) Accept() (net.Conn, error) {
	conn, err := l.TCPListener.Accept()
	if err != nil && l.over.Load() {
		return nil, net.ErrClosed
	}
	return conn, err
}

// Close only ends Accept.
func (l *lentListener) Close() error {
	l.over.Store(true)
	return l.SetDeadline(time.Unix(1, 0))
}

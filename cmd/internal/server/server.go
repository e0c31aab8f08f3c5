package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/tenantwatch/tenantwatch/cmd/internal/store"
)

// What a Config that leaves it open gets.
const (
	defaultRequestTimeout  = 10 * time.Second
	defaultShutdownTimeout = 20 * time.Second
	defaultMaxStreams      = 10_000
	defaultKeepAudit       = 400 * 24 * time.Hour
)

// Config is what a server is made of.
type Config struct {
	// Store has the data. Required. The server does not close it.
	Store *store.Store
	// Logger gets one line for each request that was refused or failed, without bodies and secrets. Nil is silent.
	Logger *slog.Logger
	// OnChange is called after every call that changes something, when it has succeeded and is in the database, on the
	// goroutine of its request. It has to return at once. Nil is nobody.
	OnChange func()
	// RateLimit is how many requests a second each key and each token may make over time; twice as many may come at once,
	// and the rest is answered with 429. Zero: no limit.
	RateLimit float64
	// MaxStreams is how many streams of events are served at a time. A service may have as many as it leaves free, so that a
	// single one can have half of them; one more is answered with 503 and Retry-After. Zero: 10,000.
	MaxStreams int
	// TrustedProxies are addresses and networks, as in 10.0.0.0/8, of proxies that say in X-Forwarded-For where a request
	// comes from. Empty: nobody is believed, and a request comes from whoever connects.
	TrustedProxies []string
	// KeepAudit is how long it is kept who did what. Zero: 400 days; less than zero: for ever.
	KeepAudit time.Duration
	// RequestTimeout is how long the database may take for a request, before it is answered with 503. Zero: 10 s.
	RequestTimeout time.Duration
	// ShutdownDelay is how long requests are still taken while /readyz fails already. Zero: not at all.
	ShutdownDelay time.Duration
	// ShutdownTimeout is how long requests under way may take to finish. Zero: 20 s.
	ShutdownTimeout time.Duration
	// Profiling serves /debug/pprof/ on the admin handler. False: not at all.
	Profiling bool
	// Version is the program's, for the OpenAPI document. Empty: "unknown".
	Version string
}

// Server answers for one store. It may be used from any goroutine, and has no goroutines of its own but in Serve.
type Server struct {
	cfg      Config
	log      *slog.Logger
	store    *store.Store
	tail     *tail
	limits   limits
	faces    *faces
	lookups  *lookups
	noise    noise
	lines    *lines   // about requests
	shown    standing // by the streams that there are
	proxies  proxies
	ready    readiness
	ping     func(context.Context) error // the store's
	metrics  *metrics
	public   http.Handler
	document []byte // the OpenAPI document
	admin    http.Handler
	beat     time.Duration // between two heartbeats of a stream
	recheck  time.Duration // between two looks at what a stream has shown
	large    largeLists

	draining atomic.Bool   // /readyz fails from now on
	closing  chan struct{} // closed when streams have to end
	closed   sync.Once
}

// New returns a server that is ready to be served. It looks at nothing, also not at the store.
func New(cfg Config) (*Server, error) {
	if cfg.Store == nil {
		return nil, errors.New("new server: Store is missing")
	}
	if cfg.MaxStreams < 0 {
		return nil, errors.New("new server: MaxStreams cannot be negative")
	}
	if cfg.RateLimit < 0 || cfg.RequestTimeout < 0 || cfg.ShutdownDelay < 0 || cfg.ShutdownTimeout < 0 {
		return nil, errors.New("new server: RateLimit, RequestTimeout, ShutdownDelay and ShutdownTimeout cannot be negative")
	}
	cfg = withDefaults(cfg)
	s := &Server{
		cfg: cfg, log: cfg.Logger, store: cfg.Store, tail: newTail(cfg.Store, cfg.RequestTimeout), limits: newLimits(cfg), faces: newFaces(), lookups: newLookups(), noise: newNoise(cfg.Logger), lines: newLines(cfg.Logger, linesEach),
		shown: standing{all: map[[sha256.Size]byte]*shown{}}, ready: readiness{once: newOnce()}, ping: cfg.Store.Ping,
		beat: heartbeatInterval, recheck: standingEvery, closing: make(chan struct{}),
	}
	var err error
	if s.proxies, err = parseProxies(cfg.TrustedProxies); err != nil {
		return nil, fmt.Errorf("new server: TrustedProxies: %w", err)
	}
	if s.metrics, err = newMetrics(); err != nil {
		return nil, err
	}
	if s.public, err = s.publicHandler(); err != nil {
		return nil, err
	}
	s.admin = s.adminHandler()
	return s, nil
}

// Handler is the API for services and administrators, with /openapi.json, /healthz and /readyz.
func (s *Server) Handler() http.Handler { return s.public }

// AdminHandler is /metrics, /healthz, /readyz and, where Config asks for it, /debug/pprof/. It asks for no credentials.
func (s *Server) AdminHandler() http.Handler { return s.admin }

// MeterProvider is where others in this process make instruments that shall show on /metrics.
func (s *Server) MeterProvider() metric.MeterProvider { return s.metrics.provider }

// Close ends the streams and the metrics. It is not needed after Serve, which does the same, and does no harm. Nothing may
// be served afterwards.
func (s *Server) Close(ctx context.Context) error {
	s.endStreams()
	s.noise.close()
	s.lines.close()
	return s.metrics.shutdown(ctx)
}

// endStreams lets all streams return, now and from now on.
func (s *Server) endStreams() { s.closed.Do(func() { close(s.closing) }) }

// changed is called after every change that was made.
func (s *Server) changed(ctx context.Context, operation string) {
	s.metrics.countChange(ctx, operation)
	s.tail.wake()
	if s.cfg.OnChange != nil {
		s.cfg.OnChange()
	}
}

func withDefaults(cfg Config) Config {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = defaultRequestTimeout
	}
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = defaultShutdownTimeout
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = defaultMaxStreams
	}
	if cfg.KeepAudit == 0 {
		cfg.KeepAudit = defaultKeepAudit
	}
	if cfg.Version == "" {
		cfg.Version = "unknown"
	}
	return cfg
}

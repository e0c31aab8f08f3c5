// Package abuse attacks a tenant manager the way a hostile or careless client would, and measures what a good client feels
// meanwhile.
//
// Each attack is run twice in each round: against a decoy that answers and does no work, so that the processors have the same
// load from clients, from TLS and from HTTP, and against the manager. The good client always talks to the manager. What it
// felt is the 99th percentile of its requests, in the middle of the rounds; an attack succeeds when that is more than twice
// what it was beside the decoy, or when the good client is refused. An attack that got no answer at all, and a round in which the
// good client made too few requests, give no result.
//
// Everything is bounded: callers, requests a second, connections and time.
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	doc.go, run.go         the face, and what is measured
//	prepare.go, good.go    what is made for it, and the good client
//	attacks.go, window.go  the attacks
//	decoy.go               what is attacked for comparison
package abuse

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Target is a manager, or a decoy in its place.
type Target struct {
	URL   string      // https://host:port
	TLS   *tls.Config // trusts it
	Key   string      // of the service that attacks
	Token string      // of an administrator

	dial func(context.Context) (net.Conn, error) // nil for TCP, to the host of URL
}

// Config is what is attacked, and how hard.
type Config struct {
	Manager Target
	Decoy   Target
	// Rounds is how often each attack is run. Zero: 5.
	Rounds int
	// Duration is how long it is run each time. Zero: 2 s.
	Duration time.Duration
	// Streams is how many streams of events one key asks for. Zero: 10,000.
	Streams int
	// History is how many events there are to resume from. Zero: 4,000.
	History int
	// Callers is how many ask at the same time. Zero: 256.
	Callers int
	// Samples is how many requests the good client has to make in a round, at least. Zero: 100.
	Samples int
	// Attacks are those that are run, as in Names. Empty: all.
	Attacks []string
	// Disposable is a manager that is thrown away afterwards. False: what was made for the attacks is deleted at the end.
	Disposable bool
	// Told is called after each round. Nil is nobody.
	Told func(attack string, round int)
}

// Result is what the good client felt of one attack.
type Result struct {
	Attack  string        `json:"attack"`
	Without time.Duration `json:"without_ns"` // 99th percentile, in the middle of the rounds
	With    time.Duration `json:"with_ns"`
	Refused int           `json:"refused"` // requests of the good client that failed during the attack
	Felt    int           `json:"requests"`
	Passed  bool          `json:"passed"`
	// Refusal is the first of those that failed; empty for none.
	Refusal string `json:"refusal,omitempty"`
	// Served is how many requests of the attack were answered with what it asked for, and Repelled how many were refused.
	Served   int64 `json:"attack_served"`
	Repelled int64 `json:"attack_refused"`
	// Problem is why this is not a result; empty if it is one.
	Problem string `json:"problem,omitempty"`
}

// Most is how many times longer the good client may wait.
const Most = 2.0

// Ratio is how many times longer it waited.
func (r Result) Ratio() float64 { return float64(r.With) / float64(max(r.Without, 1)) }

func (c Config) withDefaults() Config {
	if c.Rounds == 0 {
		c.Rounds = 5
	}
	if c.Duration == 0 {
		c.Duration = 2 * time.Second
	}
	if c.Streams == 0 {
		c.Streams = 10_000
	}
	if c.History == 0 {
		c.History = 4_000
	}
	if c.Callers == 0 {
		c.Callers = 256
	}
	if c.Samples == 0 {
		c.Samples = 100
	}
	if c.Told == nil {
		c.Told = func(string, int) {}
	}
	return c
}

// maxIdle is at least as many connections as there are callers.
const maxIdle = 10_000

// client has connections of its own.
func (t Target) client(http2 bool) *http.Client {
	transport := &http.Transport{
		TLSClientConfig: t.TLS.Clone(), MaxIdleConnsPerHost: maxIdle, ForceAttemptHTTP2: http2, DisableCompression: true,
	}
	if t.dial != nil {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return t.dial(ctx) }
	}
	if !http2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return &http.Client{Transport: transport}
}

package abuse

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// callsEach is how often each of many callers asks in a second, at most.
	callsEach = 4
	// perConnection is how many streams there are on a connection.
	perConnection = 200
	// comeBack is how long a stream that was refused, or has ended, waits before it is asked for again.
	comeBack = 5 * time.Second
	// resumed is how many streams begin far back.
	resumed = 150
	// stuckLists are asked for on each of two connections that take nothing of the answers.
	stuckLists = 100
	// handshakesEach is how many handshakes each of some callers breaks off in a second, at most.
	handshakers, handshakesEach = 16, 20
	// endWait is how long a broken handshake waits for the server to end it.
	endWait = time.Second
)

type attack struct {
	short, name string
	// begins is how many requests have to be answered before it goes on at its full strength.
	begins int
	run    func(ctx context.Context, at Target, reach *tally) error // until ctx ends
}

// tally counts what became of what an attack has sent.
type tally struct {
	served, refused, lost atomic.Int64
}

// reached reports whether anything came back, so that the attack proves something.
func (t *tally) reached() bool { return t.served.Load()+t.refused.Load() > 0 }

// asked is how much has been sent and has had its end.
func (t *tally) asked() int64 { return t.served.Load() + t.refused.Load() + t.lost.Load() }

// Names are the attacks that there are, as Config.Attacks has them.
func Names() []string {
	var names []string
	for _, a := range attacks(Config{}.withDefaults()) {
		names = append(names, a.short)
	}
	return names
}

func attacks(cfg Config) []attack {
	many := strconv.Itoa(cfg.Callers)
	back := min(resumed, cfg.Streams)
	all := []attack{
		{"readyz", many + " callers of /readyz", 1, func(ctx context.Context, at Target, reach *tally) error {
			return flood(ctx, at, cfg.Callers, "/readyz", func() string { return "" }, reach)
		}},
		{"wrong-key", "one wrong key by " + many + " callers", 1, func(ctx context.Context, at Target, reach *tally) error {
			return flood(ctx, at, cfg.Callers, badList, func() string { return wrongKey("w") }, reach)
		}},
		{"random-keys", "random keys by " + many + " callers", 1, func(ctx context.Context, at Target, reach *tally) error {
			return flood(ctx, at, cfg.Callers, badList, func() string { return wrongKey(rand.Text()) }, reach)
		}},
		{"streams", "all streams by one key", cfg.Streams, func(ctx context.Context, at Target, reach *tally) error {
			return manyStreams(ctx, at, cfg.Streams, "", reach)
		}},
		{"lists", "lists that nobody takes", 1, stuckWindows},
		{"resume", strconv.Itoa(back) + " streams from far back", back, func(ctx context.Context, at Target, reach *tally) error {
			return farBack(ctx, at, back, reach)
		}},
		{"handshakes", "broken TLS handshakes", 1, brokenHandshakes},
	}
	if len(cfg.Attacks) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(a attack) bool { return !slices.Contains(cfg.Attacks, a.short) })
}

// pace calls do from n goroutines, each at most so often a second, until ctx ends.
func pace(ctx context.Context, n, perSecond int, do func()) {
	var running sync.WaitGroup
	every := time.Second / time.Duration(perSecond)
	for i := range n {
		running.Go(func() {
			if sleep(ctx, every*time.Duration(i)/time.Duration(n)) != nil {
				return
			}
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				do()
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	running.Wait()
}

// ask sends a request and reads the answer, whatever it is.
func ask(ctx context.Context, client *http.Client, target string, header map[string]string, reach *tally) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return // the attack is over
	case err != nil:
		reach.lost.Add(1)
		return
	case resp.StatusCode < http.StatusBadRequest:
		reach.served.Add(1)
	default:
		reach.refused.Add(1)
	}
	_, _ = io.Copy(io.Discard, resp.Body) // until the attack is over, or has been repelled
	_ = resp.Body.Close()
}

const badList = "/v1/tenants/active?service=" + badService

// flood lets many ask for the same, each time with what key returns.
func flood(ctx context.Context, at Target, callers int, path string, key func() string, reach *tally) error {
	client := at.client(false)
	defer client.CloseIdleConnections()
	pace(ctx, callers, callsEach, func() {
		header := map[string]string{}
		if k := key(); k != "" {
			header["X-API-Key"] = k
		}
		ask(ctx, client, at.URL+path, header, reach)
	})
	return nil
}

// wrongKey looks like one.
func wrongKey(of string) string {
	const length = 43
	return "twk_" + strings.Repeat(of, length)[:length]
}

// manyStreams opens streams, a few hundred on each connection, and comes again when it is refused.
func manyStreams(ctx context.Context, at Target, n int, last string, reach *tally) error {
	header := map[string]string{"X-API-Key": at.Key}
	if last != "" {
		header["Last-Event-ID"] = last
	}
	var running sync.WaitGroup
	for range (n + perConnection - 1) / perConnection {
		running.Go(func() { streamsOf(ctx, at, min(n, perConnection), header, reach) })
	}
	running.Wait()
	return nil
}

// streamsOf are those of one connection.
func streamsOf(ctx context.Context, at Target, n int, header map[string]string, reach *tally) {
	client := at.client(true)
	defer client.CloseIdleConnections()
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for ctx.Err() == nil {
				ask(ctx, client, at.URL+"/v1/tenants/events?service="+badService, header, reach)
				_ = sleep(ctx, comeBack) // the loop looks
			}
		})
	}
	running.Wait()
}

// farBack resumes from the first event that there is.
func farBack(ctx context.Context, at Target, n int, reach *tally) error {
	client := at.client(true)
	defer client.CloseIdleConnections()
	epoch, err := epochOf(ctx, client, at)
	if err != nil {
		return err
	}
	return manyStreams(ctx, at, n, epoch+":0", reach)
}

func epochOf(ctx context.Context, client *http.Client, at Target) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, at.URL+"/v1/tenants/active?service="+badService, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("X-API-Key", at.Key)
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	_ = resp.Body.Close() // there is none
	if epoch := resp.Header.Get("Tenant-Set-Epoch"); epoch != "" {
		return epoch, nil
	}
	return "", errors.New("the list has no epoch: " + resp.Status)
}

// stuckWindows asks for lists on two connections that never open their window.
func stuckWindows(ctx context.Context, at Target, reach *tally) error {
	var running sync.WaitGroup
	var errs [2]error
	for i, credentials := range [][2]string{{"x-api-key", at.Key}, {"authorization", "Bearer " + at.Token}} {
		running.Go(func() { errs[i] = stuckConnection(ctx, at, credentials, stuckLists, reach) })
	}
	running.Wait()
	return errors.Join(errs[:]...)
}

// brokenHandshakes connects and speaks no TLS. What the server says to that, or that it hangs up, is a refusal.
func brokenHandshakes(ctx context.Context, at Target, reach *tally) error {
	pace(ctx, handshakers, handshakesEach, func() {
		conn, err := at.connect(ctx)
		if err != nil {
			if ctx.Err() == nil {
				reach.lost.Add(1)
			}
			return
		}
		defer func() { _ = conn.Close() }() // there is nothing more to it
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()
		_ = conn.SetDeadline(time.Now().Add(endWait))         // shows at the reading
		_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n") // whatever comes of it
		_, err = io.Copy(io.Discard, conn)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			reach.lost.Add(1)
		default:
			reach.refused.Add(1)
		}
	})
	return nil
}

func hostOf(at Target) (string, error) {
	parsed, err := url.Parse(at.URL)
	if err != nil {
		return "", err
	}
	if parsed.Port() == "" {
		return net.JoinHostPort(parsed.Hostname(), "443"), nil
	}
	return parsed.Host, nil
}

// connect speaks no TLS yet.
func (t Target) connect(ctx context.Context) (net.Conn, error) {
	if t.dial != nil {
		return t.dial(ctx)
	}
	host, err := hostOf(t)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", host)
}

func dialTLS(ctx context.Context, at Target) (net.Conn, error) {
	host, err := hostOf(at)
	if err != nil {
		return nil, err
	}
	config := at.TLS.Clone()
	config.NextProtos = []string{"h2"}
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(host); err != nil {
			return nil, err
		}
	}
	plain, err := at.connect(ctx)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close() // of no use
		return nil, err
	}
	return conn, nil
}

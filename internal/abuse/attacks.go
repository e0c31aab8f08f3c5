package abuse

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// callers are those that ask at the same time, and callsEach how often each of them does in a second, at most.
	callers   = 256
	callsEach = 4
	// perConnection is how many streams there are on a connection.
	perConnection = 200
	// resumed is how many streams begin far back.
	resumed = 150
	// stuckLists are asked for on each of two connections that take nothing of the answers.
	stuckLists = 100
	// handshakesEach is how many handshakes each of some callers breaks off in a second, at most.
	handshakers, handshakesEach = 16, 20
)

type attack struct {
	name string
	run  func(ctx context.Context, at Target) error // until ctx ends
}

func attacks(cfg Config) []attack {
	return []attack{
		{"256 callers of /readyz", readyFlood},
		{"wrong keys by 256 callers", wrongKeys},
		{"all streams by one key", func(ctx context.Context, at Target) error { return manyStreams(ctx, at, cfg.Streams, "") }},
		{"lists that nobody takes", stuckWindows},
		{"150 streams from far back", farBack},
		{"broken TLS handshakes", brokenHandshakes},
	}
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
func ask(ctx context.Context, client *http.Client, target string, header map[string]string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return // the attack is over, or has been repelled
	}
	_, _ = io.Copy(io.Discard, resp.Body) // the same
	_ = resp.Body.Close()
}

func readyFlood(ctx context.Context, at Target) error {
	client := at.client(false)
	defer client.CloseIdleConnections()
	pace(ctx, callers, callsEach, func() { ask(ctx, client, at.URL+"/readyz", nil) })
	return nil
}

func wrongKeys(ctx context.Context, at Target) error {
	client := at.client(false)
	defer client.CloseIdleConnections()
	wrong := map[string]string{"X-API-Key": "twk_" + strings.Repeat("w", len(at.Key)-len("twk_"))}
	pace(ctx, callers, callsEach, func() { ask(ctx, client, at.URL+"/v1/tenants/active?service="+badService, wrong) })
	return nil
}

// manyStreams opens streams, a few hundred on each connection, and comes again when it is refused.
func manyStreams(ctx context.Context, at Target, n int, last string) error {
	header := map[string]string{"X-API-Key": at.Key}
	if last != "" {
		header["Last-Event-ID"] = last
	}
	var running sync.WaitGroup
	for range (n + perConnection - 1) / perConnection {
		running.Go(func() { streamsOf(ctx, at, min(n, perConnection), header) })
	}
	running.Wait()
	return nil
}

// streamsOf are those of one connection.
func streamsOf(ctx context.Context, at Target, n int, header map[string]string) {
	client := at.client(true)
	defer client.CloseIdleConnections()
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for ctx.Err() == nil {
				ask(ctx, client, at.URL+"/v1/tenants/events?service="+badService, header)
				_ = sleep(ctx, time.Second) // the loop looks
			}
		})
	}
	running.Wait()
}

// farBack resumes from the first event that there is.
func farBack(ctx context.Context, at Target) error {
	client := at.client(true)
	defer client.CloseIdleConnections()
	epoch, err := epochOf(ctx, client, at)
	if err != nil {
		return err
	}
	return manyStreams(ctx, at, resumed, epoch+":0")
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
func stuckWindows(ctx context.Context, at Target) error {
	var running sync.WaitGroup
	var errs [2]error
	for i, credentials := range [][2]string{{"x-api-key", at.Key}, {"authorization", "Bearer " + at.Token}} {
		running.Go(func() { errs[i] = stuckConnection(ctx, at, credentials, stuckLists) })
	}
	running.Wait()
	return errors.Join(errs[:]...)
}

// brokenHandshakes connects and speaks no TLS.
func brokenHandshakes(ctx context.Context, at Target) error {
	host, err := hostOf(at)
	if err != nil {
		return err
	}
	pace(ctx, handshakers, handshakesEach, func() {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n") // whatever comes of it
		_ = conn.Close()
	})
	return nil
}

func hostOf(at Target) (string, error) {
	parsed, err := url.Parse(at.URL)
	if err != nil {
		return "", err
	}
	return parsed.Host, nil
}

func dialTLS(ctx context.Context, at Target) (net.Conn, error) {
	host, err := hostOf(at)
	if err != nil {
		return nil, err
	}
	config := at.TLS.Clone()
	config.NextProtos = []string{"h2"}
	return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", host)
}

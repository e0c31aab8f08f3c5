package abuse

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	goodService, badService = "bench-good", "bench-bad"
	// goodEvery is how long the good client rests between two requests.
	goodEvery = 2 * time.Millisecond
	// goodPatience is how long it waits for an answer.
	goodPatience = 5 * time.Second
)

// goodClient does what a service and its administrator do: it reads its list and a tenant, opens a stream of events, changes the
// tenant, and resumes the stream to hear of that.
type goodClient struct {
	manager     Target
	http        *http.Client
	key, tenant string
	last        string // id of an event, from when a stream was opened

	keys, tenants []string // ids of those that were made
}

// felt is what became of its requests.
type felt struct {
	took    []time.Duration
	refused int
	err     error // the first refusal
}

// work makes requests, one after the other, until ctx ends, and one at least.
func (g *goodClient) work(ctx context.Context) felt {
	var out felt
	for n := 0; n == 0 || ctx.Err() == nil; n++ {
		began := time.Now()
		err := g.request(context.WithoutCancel(ctx), n)
		out.took = append(out.took, time.Since(began))
		if err != nil {
			out.refused++
			if out.err == nil {
				out.err = err
			}
		}
		_ = sleep(ctx, goodEvery) // the loop looks
	}
	return out
}

func (g *goodClient) request(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, goodPatience)
	defer cancel()
	kinds := []func(context.Context, int) error{g.list, g.get, g.open, g.change, g.resume}
	return kinds[n%len(kinds)](ctx, n)
}

func (g *goodClient) list(ctx context.Context, _ int) error {
	return g.do(ctx, http.MethodGet, "/v1/tenants/active?service="+goodService, g.key, "", nil)
}

func (g *goodClient) get(ctx context.Context, _ int) error {
	return g.do(ctx, http.MethodGet, "/v1/tenants/"+g.tenant, g.key, "", nil)
}

func (g *goodClient) change(ctx context.Context, n int) error {
	return g.do(ctx, http.MethodPatch, "/v1/tenants/"+g.tenant, g.key, `{"name":"good `+strconv.Itoa(n)+`"}`, nil)
}

// open begins a stream, and waits for the heartbeat that says how far it is.
func (g *goodClient) open(ctx context.Context, _ int) (err error) {
	g.last, _, err = g.firstOf(ctx, "")
	return err
}

// resume waits for the event of the change that was made since.
func (g *goodClient) resume(ctx context.Context, _ int) error {
	if g.last == "" {
		return errors.New("no stream was opened that could be resumed")
	}
	_, name, err := g.firstOf(ctx, g.last)
	if err == nil && name != "" {
		err = fmt.Errorf("the stream was resumed, and began with a %.40s instead of the event that was due", name)
	}
	return err
}

// firstOf returns what a stream begins with. An event has no name.
func (g *goodClient) firstOf(ctx context.Context, last string) (id, name string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.manager.URL+"/v1/tenants/events?service="+goodService, http.NoBody)
	if err != nil {
		return "", "", err
	}
	req.Header.Set("X-API-Key", g.key)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := g.http.Do(req)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = resp.Body.Close() }() // it has been read as far as it matters
	if resp.StatusCode != http.StatusOK {
		return "", "", errors.New("stream of events: " + resp.Status)
	}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "":
			return id, name, nil
		}
	}
	return "", "", errors.New("the stream of events ended before anything came")
}

// refusal is an answer other than success.
type refusal struct {
	text  string
	again time.Duration // Retry-After; 0 where there is none
}

func (r *refusal) Error() string { return r.text }

// do sends a request, with the token where it changes something, and reads the answer into into.
func (g *goodClient) do(ctx context.Context, method, path, key, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, g.manager.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set("X-API-Key", key)
	}
	if method != http.MethodGet || into != nil {
		req.Header.Set("Authorization", "Bearer "+g.manager.Token)
	}
	resp, err := g.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 where it is something else
		return &refusal{fmt.Sprintf("%s %s: %s %.200s", method, path, resp.Status, data), time.Duration(seconds) * time.Second}
	}
	if into != nil {
		return json.Unmarshal(data, into)
	}
	return nil
}

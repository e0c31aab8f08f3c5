package abuse

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	goodService, badService = "bench-good", "bench-bad"
	// goodEvery is how long the good client rests between two requests.
	goodEvery = 2 * time.Millisecond
	// goodPatience is how long it waits for an answer.
	goodPatience = 5 * time.Second
)

// goodClient does what a service and its administrator do: it reads its list, a tenant, and changes one.
type goodClient struct {
	manager     Target
	http        *http.Client
	key, tenant string
	keys        []string // ids of those that were made
}

// felt is what became of its requests.
type felt struct {
	took    []time.Duration
	refused int
}

// work makes requests, one after the other, until ctx ends.
func (g *goodClient) work(ctx context.Context) felt {
	var out felt
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		err := g.request(context.WithoutCancel(ctx), n)
		out.took = append(out.took, time.Since(began))
		if err != nil {
			out.refused++
		}
		_ = sleep(ctx, goodEvery) // the loop looks
	}
	return out
}

func (g *goodClient) request(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, goodPatience)
	defer cancel()
	switch n % 3 { //nolint:mnd // each kind in turn
	case 0:
		return g.do(ctx, http.MethodGet, "/v1/tenants/active?service="+goodService, g.key, "", nil)
	case 1:
		return g.do(ctx, http.MethodGet, "/v1/tenants/"+g.tenant, g.key, "", nil)
	default:
		return g.do(ctx, http.MethodPatch, "/v1/tenants/"+g.tenant, g.key, `{"name":"good `+strconv.Itoa(n)+`"}`, nil)
	}
}

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
		return fmt.Errorf("%s %s: %s %.200s", method, path, resp.Status, data)
	}
	if into != nil {
		return json.Unmarshal(data, into)
	}
	return nil
}

// close revokes the keys that were made; the tenants stay.
func (g *goodClient) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodPatience)
	defer cancel()
	for _, id := range g.keys {
		_ = g.do(ctx, http.MethodDelete, "/v1/admin/keys/"+id, "", "", nil) // they are of no use to anybody
	}
	g.http.CloseIdleConnections()
}

// prepare makes keys and tenants, and with them the events that an attack resumes from. The key of the attacker goes into cfg.
func prepare(ctx context.Context, cfg *Config) (*goodClient, error) {
	g := &goodClient{manager: cfg.Manager, http: cfg.Manager.client(true)}
	err := g.prepare(ctx, cfg)
	return g, err
}

func (g *goodClient) prepare(ctx context.Context, cfg *Config) error {
	for service, key := range map[string]*string{goodService: &g.key, badService: &cfg.Manager.Key} {
		var made struct{ ID, Key string }
		if err := g.do(ctx, http.MethodPost, "/v1/admin/keys", "", `{"service":"`+service+`","name":"bench"}`, &made); err != nil {
			return err
		}
		*key = made.Key
		g.keys = append(g.keys, made.ID)
	}
	cfg.Decoy.Key, cfg.Decoy.Token = cfg.Manager.Key, cfg.Manager.Token
	var err error
	if g.tenant, err = g.makeTenant(ctx, "good", goodService); err != nil {
		return err
	}
	bad, err := g.makeTenant(ctx, "bad", badService)
	if err != nil {
		return err
	}
	for i := range min(manyRows, cfg.History/few) {
		if _, err := g.makeTenant(ctx, "row "+strconv.Itoa(i), badService); err != nil {
			return err
		}
	}
	for i := 3 * min(manyRows, cfg.History/few); i < cfg.History; i++ { //nolint:mnd // about what the rows have made
		if err := g.do(ctx, http.MethodPatch, "/v1/tenants/"+bad, "", `{"name":"bad `+strconv.Itoa(i)+`"}`, nil); err != nil {
			return err
		}
	}
	return nil
}

// manyRows make a list that fills what a connection takes before anybody has read of it.
const manyRows = 600

// few is which part of a short history is rows.
const few = 4

func (g *goodClient) makeTenant(ctx context.Context, name, service string) (string, error) {
	slug := name + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	slug = string(bytes.ReplaceAll([]byte(slug), []byte(" "), []byte("-")))
	var made struct{ ID string }
	body := `{"name":"` + name + `","slug":"` + slug + `","owner":{"email":"bench@example.com"}}`
	if err := g.do(ctx, http.MethodPost, "/v1/tenants", "", body, &made); err != nil {
		return "", err
	}
	return made.ID, g.do(ctx, http.MethodPost, "/v1/tenants/"+made.ID+"/associations/"+service, "", `{"isolationMode":"isolated"}`, nil)
}

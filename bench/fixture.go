package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

const (
	service = "ledger"
	epoch   = "5b0c1f7e2a944d6f8e3b7c6d5a4f3e21"
)

// idOf is the id of the n-th tenant: a UUID, as managers give them.
func idOf(n int) string {
	const golden = 0x9e3779b97f4a7c15
	a, b := uint64(n+1)*golden, uint64(n+7)*(golden>>3|1) //nolint:gosec // to be spread, not to be secret
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

func idsOf(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = idOf(i)
	}
	return ids
}

// listOf is a list as a manager sends it.
func listOf(first, n int) []byte {
	return listIf(first, n, func(int) bool { return true })
}

// listWithout is one in which every thousandth tenant is missing.
func listWithout(n int) []byte { return listIf(0, n, func(i int) bool { return i%1000 != 0 }) }

func listIf(first, n int, there func(int) bool) []byte {
	var list bytes.Buffer
	for i := first; i < first+n; i++ {
		if there(i) {
			_, _ = fmt.Fprintf(&list, `,{"id":"%s","name":"Tenant number %d","status":"active"}`, idOf(i), i) // into memory
		}
	}
	return append(append([]byte("["), bytes.TrimPrefix(list.Bytes(), []byte(","))...), ']')
}

// manager serves lists.
type manager struct {
	server *httptest.Server
	list   []byte
	etag   string
	// changes is what has changed since any version; nil where the list has to be read. revision is the list's.
	changes  []byte
	revision int
	sent     atomic.Int64 // bytes of bodies
}

func newManager(list []byte) *manager {
	m := &manager{list: list, etag: `"1"`, revision: 1}
	m.server = httptest.NewServer(m)
	return m
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header, body := w.Header(), m.list
	header.Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/changes") {
		if body = m.changes; body == nil {
			w.WriteHeader(http.StatusGone)
			return
		}
	} else {
		header.Set("ETag", m.etag)
		header.Set(managerapi.HeaderEpoch, epoch)
		header.Set(managerapi.HeaderRevision, strconv.Itoa(m.revision))
		if r.Header.Get("If-None-Match") == m.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	m.sent.Add(int64(len(body)))
	_, _ = w.Write(body) // a client that is gone has failed itself
}

// change lets every thousandth tenant go, or come again, and says so in changes.
func (m *manager) change(ids []string, gone bool) {
	kind, answer := tenant.EventServiceAssociated, managerapi.Changes{Epoch: epoch}
	if gone {
		kind = tenant.EventServiceSuspended
	}
	digest := uint64(0)
	for i, id := range ids {
		if i%1000 == 0 {
			m.revision++
			data, err := json.Marshal(tenant.Event{
				EventID: fmt.Sprintf("evt-%d", m.revision), EventType: kind, TenantID: id, Timestamp: time.Now(), TenantName: "Tenant number",
				Payload: json.RawMessage(`{"service_name":"` + service + `"}`), Epoch: epoch, Revision: uint64(m.revision), //nolint:gosec // never negative
			})
			must(err)
			answer.Events = append(answer.Events, data)
		}
		if i%1000 != 0 || !gone {
			answer.Count++
			digest ^= tenant.IDDigest(id)
		}
	}
	answer.Revision, answer.Digest = uint64(m.revision), fmt.Sprintf("%016x", digest) //nolint:gosec // never negative
	var err error
	m.changes, err = json.Marshal(answer)
	must(err)
}

func (m *manager) url() string { return m.server.URL + "/v1/tenants/active?service=" + service }

// client is one of ours.
func (m *manager) client() *managerapi.Client {
	client, err := managerapi.NewClient(managerapi.Config{BaseURL: m.server.URL})
	must(err)
	return client
}

// feed is one in memory, that is always there.
type feed struct{ sink chan func(tenant.Signal) }

func newFeed() *feed { return &feed{sink: make(chan func(tenant.Signal), 1)} }

// Run implements [tenant.Feed].
func (f *feed) Run(ctx context.Context, sink func(tenant.Signal)) error {
	sink(tenant.Signal{Kind: tenant.SignalSubscribed})
	f.sink <- sink
	<-ctx.Done()
	return ctx.Err()
}

// started is a discovery of ours that has begun.
func started(client discovery.ActiveTenantsFetcher, f tenant.Feed) *discovery.TenantDiscovery {
	return startedWith(client, f, false)
}

// startedWith is one that keeps names, or does not.
func startedWith(client discovery.ActiveTenantsFetcher, f tenant.Feed, names bool) *discovery.TenantDiscovery {
	d, err := discovery.NewTenantDiscovery(discovery.Config{
		ServiceName: service, TMClient: client, Feed: f, ResyncSpread: time.Millisecond, RemovalGuard: discovery.RemovalGuard{Fraction: 1}, Names: names,
	})
	must(err)
	must(d.Start(context.Background()))
	return d
}

// withSet is one with n tenants, by a list in memory.
func withSet(n int) (*discovery.TenantDiscovery, *feed) {
	f := newFeed()
	return started(memory(idsOf(n)), f), f
}

// memory is a TMClient without a network.
type memory []string

// GetActiveTenantsByService implements [discovery.ActiveTenantsFetcher].
func (m memory) GetActiveTenantsByService(context.Context, string) ([]*tenant.Summary, error) {
	return nil, nil
}

// FetchSnapshot implements [discovery.SnapshotFetcher].
func (m memory) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	var row tenant.Row
	for _, id := range m {
		row.ID = append(row.ID[:0], id...)
		req.Each(row)
	}
	return tenant.Snapshot{Version: tenant.Version{Epoch: epoch, Revision: 1}}, ctx.Err()
}

// eventsOf are n events of about so many bytes: each of the tenants comes, and then each goes.
func eventsOf(first, n, size int) [][]byte {
	began := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	messages := make([][]byte, n)
	for i := range messages {
		kind, id := tenant.EventServiceAssociated, idOf(first+i)
		if i >= n/2 {
			kind, id = tenant.EventServiceSuspended, idOf(first+i-n/2)
		}
		evt := tenant.Event{
			EventID: fmt.Sprintf("evt-%d", i), EventType: kind, Timestamp: began.Add(time.Duration(i) * time.Millisecond),
			TenantID: id, Epoch: "e", Revision: uint64(i + 2),
			Payload: json.RawMessage(`{"service_name":"` + service + `"}`),
		}
		evt.Epoch = epoch
		data, err := json.Marshal(evt)
		must(err)
		if pad := size - len(data) - len(`,"note":""`); pad > 0 {
			evt.Payload = json.RawMessage(`{"service_name":"` + service + `","note":"` + strings.Repeat("x", pad) + `"}`)
			data, err = json.Marshal(evt)
			must(err)
		}
		messages[i] = data
	}
	return messages
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

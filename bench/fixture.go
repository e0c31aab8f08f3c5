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

func idsFrom(first, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = idOf(first + i)
	}
	return ids
}

// listOf is a list as a manager sends it.
func listOf(first, n int) []byte {
	var list bytes.Buffer
	list.WriteByte('[')
	for i := range n {
		if i > 0 {
			list.WriteByte(',')
		}
		_, _ = fmt.Fprintf(&list, `{"id":"%s","name":"Tenant number %d","status":"active"}`, idOf(first+i), first+i) // into memory
	}
	list.WriteByte(']')
	return list.Bytes()
}

// manager serves lists.
type manager struct {
	server *httptest.Server
	list   []byte
	etag   string
}

func newManager(list []byte) *manager {
	m := &manager{list: list, etag: `"1"`}
	m.server = httptest.NewServer(m)
	return m
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("ETag", m.etag)
	header.Set(managerapi.HeaderEpoch, epoch)
	header.Set(managerapi.HeaderRevision, "1")
	if r.Header.Get("If-None-Match") == m.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(m.list)))
	_, _ = w.Write(m.list) // a client that is gone has failed itself
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
	d, err := discovery.NewTenantDiscovery(discovery.Config{
		ServiceName: service, TMClient: client, Feed: f, ResyncSpread: time.Millisecond, RemovalGuard: discovery.RemovalGuard{Fraction: 1},
	})
	must(err)
	must(d.Start(context.Background()))
	return d
}

// withSet is one with n tenants, by a list in memory.
func withSet(n int) (*discovery.TenantDiscovery, *feed) {
	f := newFeed()
	return started(memory(idsFrom(0, n)), f), f
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

package discovery_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// fuzzedManager is the client, its transport, and a model of what the answers and the events mean, made from the bytes of
// the answers.
type fuzzedManager struct {
	*managerapi.Client

	t           *testing.T
	environment string // the configured one
	status      func() discovery.Status

	mu        sync.Mutex
	answers   []string
	well      bool
	fetches   int
	refreshes int
	last      *fetched // that is to be judged
	reply     reply    // the last one

	order     int // counts what happens
	gapAt     int // the last thing that may have been missed
	epoch     string
	heard     map[string]uint64
	lost      uint64 // revisions that the next event leaves out
	marks     map[spoken]said
	set       map[string]bool
	taken     bool // there was a list
	began     int  // when the last one that counts was asked for
	held      bool
	counters  discovery.Counters
	refusals  int
	refusedAt time.Time
}

// spoken is of whom something was said, and in which epoch.
type spoken struct{ tenant, epoch string }

// said is what.
type said struct {
	active   bool
	revision uint64
	order    int
}

// fetched is one list that was asked for.
type fetched struct {
	began     int
	epoch     string
	heard     uint64
	done      bool
	version   tenant.Version
	unchanged bool
	reply     reply
}

// reply is what an answer means by itself.
type reply struct {
	refused   string // why it is not a list; empty when it is one
	unchanged bool
	named     string // the environment
	ids       map[string]bool
}

func newFuzzedManager(t *testing.T) *fuzzedManager {
	t.Helper()
	return &fuzzedManager{t: t, heard: map[string]uint64{}, marks: map[spoken]said{}, set: map[string]bool{}}
}

func (m *fuzzedManager) script(answer string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers = append(m.answers, answer)
}

// FetchSnapshot asks the real client, whose verdict has to be that of the model.
func (m *fuzzedManager) FetchSnapshot(ctx context.Context, req tenant.SnapshotRequest) (tenant.Snapshot, error) {
	m.judge()
	m.mu.Lock()
	fetch := &fetched{began: m.order, epoch: m.epoch, heard: m.heard[m.epoch]}
	m.last, m.reply = fetch, reply{refused: "nobody answered"}
	m.fetches++
	m.mu.Unlock()
	got, err := m.Client.FetchSnapshot(ctx, req)
	m.mu.Lock()
	defer m.mu.Unlock()
	fetch.done, fetch.version, fetch.unchanged, fetch.reply = true, got.Version, got.NotModified, m.reply
	if ctx.Err() == nil && (err == nil) != (m.reply.refused == "") {
		m.t.Errorf("the client says %v, and the answer is refused for %q", err, m.reply.refused)
	}
	return got, err
}

// RoundTrip gives the next answer of the script.
func (m *fuzzedManager) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	answer, healthy := "", m.well
	if len(m.answers) > 0 && !healthy {
		answer, m.answers = m.answers[0], m.answers[1:]
	}
	if healthy {
		answer = "\x00HTTP/1.1 200 OK\r\nTenant-Set-Epoch: " + m.epoch + "\r\nTenant-Set-Revision: " + fmt.Sprint(m.heard[m.epoch]) + "\r\n\r\n" + `[{"id":"well"}]`
	}
	m.mu.Unlock()
	if answer == "" {
		return nil, errors.New("connection refused")
	}
	delay := time.NewTimer(time.Duration(answer[0]) * time.Second)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	m.mu.Lock()
	m.reply = m.read(answer[1:], r)
	m.mu.Unlock()
	return http.ReadResponse(bufio.NewReader(strings.NewReader(answer[1:])), r)
}

// read says what an answer means.
func (m *fuzzedManager) read(raw string, r *http.Request) reply {
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), r)
	if err != nil {
		return reply{refused: err.Error()}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotModified && r.Header.Get("If-None-Match") != "" {
		return reply{unchanged: true, named: named(resp)}
	}
	if resp.StatusCode != http.StatusOK {
		return reply{refused: resp.Status}
	}
	var from io.Reader = resp.Body
	switch strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))) {
	case "", "identity":
	case "gzip", "x-gzip":
		if from, err = gzip.NewReader(resp.Body); err != nil {
			return reply{refused: err.Error()}
		}
	default:
		return reply{refused: "its encoding"}
	}
	body, err := io.ReadAll(io.LimitReader(from, mostListBytes+1))
	if err != nil || len(body) > mostListBytes {
		return reply{refused: "it is cut, or too long"}
	}
	found := readRows(body)
	found.named = named(resp)
	return found
}

// named is the environment that an answer names.
func named(resp *http.Response) string {
	return strings.ToLower(strings.TrimSpace(resp.Header.Get(managerapi.HeaderEnvironment)))
}

func readRows(body []byte) reply {
	var rows []json.RawMessage
	if err := json.Unmarshal(body, &rows); err != nil || rows == nil {
		return reply{refused: "it is not a list"}
	}
	found, unusable := reply{ids: map[string]bool{}}, 0
	for _, row := range rows {
		if row[0] != '{' && string(row) != "null" {
			return reply{refused: "a row is not an object"}
		}
		id, status, usable := readFields(row)
		if !usable || !tenant.ValidID(id) {
			unusable++
		} else if status == "" || strings.EqualFold(status, "active") {
			found.ids[tenant.CanonicalID(id)] = true
		}
	}
	if unusable > 0 && (unusable == len(rows) || len(rows) >= 20 && 2*unusable > len(rows)) {
		found.ids = nil // the client takes it, the discovery doesn't
	}
	return found
}

// readFields reads a row, each of whose ids and statuses has to be a string, and the last of them counts.
func readFields(row []byte) (id, status string, usable bool) {
	dec := json.NewDecoder(bytes.NewReader(row))
	_, _ = dec.Token()
	usable = row[0] == '{'
	for usable && dec.More() {
		name, _ := dec.Token()
		var value any
		if err := dec.Decode(&value); err != nil {
			value = 0 // a number that is too large
		}
		text, isText := value.(string)
		switch name {
		case "id":
			id, usable = text, isText
		case "status":
			status, usable = text, isText
		}
	}
	return id, status, usable
}

// judge finds out what became of the last list.
func (m *fuzzedManager) judge() {
	status := m.status()
	m.mu.Lock()
	defer m.mu.Unlock()
	fetch := m.last
	if fetch == nil || !fetch.done {
		return
	}
	m.last = nil
	now, before := status.Counters, m.counters
	m.counters = now
	was := now.Reconciles > before.Reconciles || !m.taken && status.State != discovery.Starting && status.State != discovery.Closed
	environment := fetch.reply.named
	old := fetch.version.Epoch != "" && fetch.version.Epoch == fetch.epoch && fetch.version.Revision < fetch.heard
	switch other := m.environment != "" && environment != "" && environment != m.environment; {
	case was && (fetch.reply.refused != "" || other || !fetch.unchanged && fetch.reply.ids == nil):
		m.t.Errorf("a list was taken that is refused for %q, of the environment %q, with %v", fetch.reply.refused, environment, fetch.reply.ids)
	case was && m.taken && old && m.refusals < 4 && time.Since(m.refusedAt) < discovery.DefaultResyncInterval:
		m.t.Errorf("a list was taken that is at %v, and %d was heard", fetch.version, fetch.heard)
	case was:
		m.take(fetch, old, now.RemovalsHeld > before.RemovalsHeld)
	case errors.Is(status.SnapshotError, discovery.ErrOldSnapshot):
		if m.refusals == 0 {
			m.refusedAt = time.Now()
		}
		m.refusals++
	}
}

// take makes the list the set, but for what was said since.
func (m *fuzzedManager) take(fetch *fetched, old, held bool) {
	v := fetch.version
	next := maps.Clone(fetch.reply.ids)
	if fetch.unchanged {
		next = m.set
	}
	newest := map[string]said{}
	for who, what := range m.marks {
		newer := what.order > fetch.began
		kept := newer
		if who.epoch != "" && v.Epoch != "" {
			newer = who.epoch == v.Epoch && what.revision > v.Revision && !(old && m.taken && what.order <= fetch.began)
			kept = newer || who.epoch != v.Epoch && kept
		}
		if !kept && !held {
			delete(m.marks, who)
		}
		if newer && what.order > newest[who.tenant].order {
			newest[who.tenant] = what
		}
	}
	for who, what := range newest {
		if !fetch.unchanged {
			setTo(next, who, what.active)
		}
	}
	m.refusals, m.taken = 0, true
	if held {
		maps.Copy(next, m.set)
	}
	if m.set = next; held {
		m.held = true
		return
	}
	m.held, m.began = false, fetch.began
	m.enter(v, old)
}

// enter takes over the version of the list.
func (m *fuzzedManager) enter(v tenant.Version, old bool) {
	if v.Epoch != m.epoch && m.epoch != "" && v.Epoch != "" {
		delete(m.heard, m.epoch)
		maps.DeleteFunc(m.marks, func(who spoken, _ said) bool { return who.epoch == m.epoch })
	}
	m.epoch = v.Epoch
	if v.Epoch != "" && (old || v.Revision > m.heard[v.Epoch]) {
		m.heard[v.Epoch] = v.Revision
	}
}

func setTo(set map[string]bool, id string, active bool) {
	if delete(set, id); active {
		set[id] = true
	}
}

// gap notes that something may have been missed.
func (m *fuzzedManager) gap() {
	m.order++
	m.gapAt = m.order
}

// eventEpoch is that of the list, where an event may have it.
func (m *fuzzedManager) eventEpoch() string {
	if len(m.epoch) > tenant.MaxNameBytes {
		return ""
	}
	return m.epoch
}

// next is the version of the next event.
func (m *fuzzedManager) next(epoch string) (string, uint64) {
	if epoch == "" || m.heard[epoch] > math.MaxUint64-mostSaid-1 {
		return "", 0
	}
	return epoch, m.heard[epoch] + m.lost + 1
}

func (m *fuzzedManager) newest() tenant.Version {
	return tenant.Version{Epoch: m.epoch, Revision: m.heard[m.epoch]}
}

// hear takes in an event.
func (m *fuzzedManager) hear(evt tenant.Event, active bool) {
	m.order++
	if evt.Epoch != "" {
		m.heard[evt.Epoch], m.lost = evt.Revision, 0
	}
	m.marks[spoken{evt.TenantID, evt.Epoch}] = said{active, evt.Revision, m.order}
	if m.taken && (evt.Epoch == "" || m.epoch == "" || evt.Epoch == m.epoch) {
		setTo(m.set, evt.TenantID, active)
	}
}

// lose has a revision that nobody hears of.
func (m *fuzzedManager) lose() {
	m.lost++
}

// wrong says what is.
func (m *fuzzedManager) wrong(ids []string, status discovery.Status) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, id := range ids {
		ids[i] = tenant.CanonicalID(id)
	}
	slices.Sort(ids)
	want := slices.Sorted(maps.Keys(m.set))
	switch {
	case !slices.Equal(ids, want):
		return fmt.Sprintf("the set is %q, want %q", ids, want)
	case status.State == discovery.Live && (!m.taken || m.held || m.began < m.gapAt):
		return "it is Live, and there is something that may have been missed"
	}
	return ""
}

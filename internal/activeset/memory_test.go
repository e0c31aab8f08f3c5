package activeset

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// news is an event about a tenant: of epoch e at the revision, or without a version when that is zero.
func news(effect effect, id string, revision uint64) verdict {
	v := verdict{effect: effect, key: id, id: id}
	if revision > 0 {
		v.version = tenant.Version{Epoch: "e", Revision: revision}
	}
	return v
}

// feed returns what each of the events was taken for.
func feed(m *memory, events ...verdict) (judged []freshness) {
	for _, v := range events {
		judged = append(judged, m.judge(&v, 0, time.Time{}))
	}
	return judged
}

// at makes a memory that has taken a snapshot of epoch e.
func at(revision uint64) *memory {
	var m memory
	m.taken(tenant.Version{Epoch: "e", Revision: revision}, 0)
	return &m
}

func TestJudgeByRevision(t *testing.T) {
	other := news(effectAdd, "a", 99)
	other.version.Epoch = "f"
	for _, tc := range []struct {
		name   string
		events []verdict
		want   []freshness
	}{
		{"in order", []verdict{news(effectAdd, "a", 11), news(effectRemove, "a", 12)}, []freshness{fresh, fresh}},
		{"at the snapshot", []verdict{news(effectRemove, "a", 10)}, []freshness{old}},
		{"below it", []verdict{news(effectRemove, "a", 3)}, []freshness{old}},
		{"twice", []verdict{news(effectAdd, "a", 11), news(effectAdd, "a", 11)}, []freshness{fresh, old}},
		{"older of the same tenant, beyond a hole", []verdict{news(effectRemove, "a", 18), news(effectAdd, "a", 17)}, []freshness{fresh, old}},
		{"older of another tenant, beyond a hole", []verdict{news(effectRemove, "a", 18), news(effectAdd, "b", 17)}, []freshness{fresh, fresh}},
		{"another epoch", []verdict{other}, []freshness{foreign}},
		{"no version", []verdict{news(effectAdd, "a", 0)}, []freshness{fresh}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := feed(at(10), tc.events...); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestJudgeByTimestamp(t *testing.T) {
	noon := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	dated := func(effect effect, after time.Duration) verdict {
		v := news(effect, "a", 0)
		v.at = noon.Add(after)
		return v
	}
	var m memory
	got := feed(&m, dated(effectAdd, 0), dated(effectRemove, time.Minute), dated(effectAdd, time.Second), dated(effectAdd, time.Minute), news(effectAdd, "a", 0))
	if want := []freshness{fresh, fresh, late, fresh, fresh}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEventsThatComeTwice(t *testing.T) {
	var m memory
	named := func(id, tenantID string) verdict {
		v := news(effectReconfigure, tenantID, 0)
		v.eventID = id
		return v
	}
	got := feed(&m, named("1", "a"), named("1", "a"), named("1", "b"), named("", "a"), named("", "a"))
	if want := []freshness{fresh, old, fresh, fresh, fresh}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range 3 * idsRemembered {
		m.judge(new(named(fmt.Sprint("id", i), "a")), 0, time.Time{})
	}
	if len(m.ids.known) != idsRemembered || len(m.ids.ring) != idsRemembered {
		t.Errorf("%d and %d ids are remembered", len(m.ids.known), len(m.ids.ring))
	}
	if m.judge(new(named("1", "a")), 0, time.Time{}) != fresh {
		t.Error("what was forgotten is old")
	}
}

func TestPrefixAndHoles(t *testing.T) {
	m, began := at(10), time.Unix(1_700_000_000, 0)
	for n, step := range []struct {
		revision, prefix, missing uint64
		since                     int // the second of the step
	}{
		{11, 11, 0, 0},
		{13, 11, 12, 1},
		{14, 11, 12, 1},
		{16, 11, 12, 1},
		{13, 11, 12, 1},
		{12, 14, 15, 3},
		{15, 16, 0, 0},
		{9, 16, 0, 0},
		{20, 16, 17, 8},
		{18, 16, 17, 8},
		{17, 18, 19, 8},
		{19, 20, 0, 0},
	} {
		now := began.Add(time.Duration(n) * time.Second)
		m.judge(new(news(effectNone, "a", step.revision)), 0, now)
		missing, since := m.hole(now)
		if missing != step.missing || missing > 0 && !since.Equal(began.Add(time.Duration(step.since)*time.Second)) || m.known().Revision != step.prefix {
			t.Errorf("revision %d: %d is missing since %v, prefix %d; want %+v", step.revision, missing, since, m.known().Revision, step)
		}
	}
}

// TestHolesAreToldOnce, and newer ones again.
func TestHolesAreToldOnce(t *testing.T) {
	m, began := at(10), time.Unix(1_700_000_000, 0)
	hear := func(revision uint64, after time.Duration) {
		m.judge(new(news(effectNone, "a", revision)), 0, began.Add(after))
	}
	want := func(after time.Duration, want uint64) {
		t.Helper()
		if missing, _ := m.hole(began.Add(after)); missing != want {
			t.Errorf("after %v %d is missing, want %d", after, missing, want)
		}
	}
	hear(12, time.Second)
	want(999*time.Millisecond, 0)
	want(time.Second, 11)
	m.tell()
	want(time.Hour, 0)
	hear(13, 2*time.Second) // which shows no other hole
	want(time.Hour, 0)
	hear(15, 3*time.Second)
	want(time.Hour, 14)
	m.taken(tenant.Version{Epoch: "e", Revision: 12}, m.tick)
	want(time.Hour, 14)
	hear(14, 4*time.Second)
	want(time.Hour, 0)
}

func TestOverrideByRevision(t *testing.T) {
	m := at(10)
	feed(m, news(effectAdd, "new", 12), news(effectRemove, "gone", 13), news(effectRemove, "back", 14), news(effectAdd, "back", 15), news(effectRemove, "covered", 11))
	snapshot := rowsOf("gone", "back", "covered", "other")
	version := tenant.Version{Epoch: "e", Revision: 11}
	m.override(&snapshot, version, m.tick)
	if got := idsOf(snapshot); got != "back covered new other" {
		t.Errorf("the set is %q", got)
	}
	if whole, _ := m.taken(version, m.tick); !whole || m.marked() != 3 {
		t.Errorf("whole %v, %d marks are left", whole, m.marked())
	}
}

func TestOverrideByRequest(t *testing.T) {
	var m memory
	feed(&m, news(effectRemove, "before", 0))
	began := m.tick
	feed(&m, news(effectAdd, "new", 0), news(effectRemove, "gone", 0), news(effectRemove, "back", 0), news(effectAdd, "back", 0))
	snapshot := rowsOf("before", "gone", "back")
	m.override(&snapshot, tenant.Version{}, began)
	if got := idsOf(snapshot); got != "back before new" {
		t.Errorf("the set is %q", got)
	}
	if m.taken(tenant.Version{}, began); m.marked() != 3 {
		t.Errorf("%d marks are left", m.marked())
	}
	if m.taken(tenant.Version{}, m.tick); m.marked() != 0 {
		t.Errorf("%d marks are left", m.marked())
	}
}

func TestTombstone(t *testing.T) {
	m := at(10)
	feed(m, news(effectRemove, "a", 12)) // 11 is missing
	if what := m.judge(new(news(effectAdd, "a", 11)), 0, time.Time{}); what != old {
		t.Errorf("the add before the remove is %v", what)
	}
	m.taken(tenant.Version{Epoch: "e", Revision: 12}, m.tick)
	if m.marked() != 0 {
		t.Error("the tombstone stays")
	}
	if what := m.judge(new(news(effectAdd, "a", 11)), 0, time.Time{}); what != old {
		t.Errorf("covered by the snapshot, and it is %v", what)
	}
}

func TestCheckOfSnapshots(t *testing.T) {
	m := at(10)
	m.judge(new(news(effectNone, "a", 11)), 0, time.Time{})
	for version, refused := range map[tenant.Version]bool{
		{Epoch: "e", Revision: 10}: true,
		{Epoch: "e", Revision: 11}: false,
		{Epoch: "e", Revision: 12}: false,
		{Epoch: "f", Revision: 1}:  false,
		{}:                         false,
	} {
		if err := check(version, m.epoch, m.heard()); (err != nil) != refused {
			t.Errorf("%v: %v", version, err)
		}
	}
}

// TestNewEpoch: only a snapshot brings it, and events of it that came before count by their revisions.
func TestNewEpoch(t *testing.T) {
	m := at(1000)
	foreignNews := func(effect effect, id string, revision uint64) verdict {
		v := news(effect, id, revision)
		v.version.Epoch = "f"
		return v
	}
	for _, v := range []verdict{foreignNews(effectAdd, "old", 3), foreignNews(effectAdd, "new", 4)} {
		if what := m.judge(&v, 0, time.Time{}); what != foreign {
			t.Errorf("%s is %v", v.id, what)
		}
	}
	snapshot := rowsOf("other")
	version := tenant.Version{Epoch: "f", Revision: 3}
	m.override(&snapshot, version, m.tick)
	if idsOf(snapshot) != "new other" {
		t.Errorf("the list is %q", idsOf(snapshot))
	}
	if whole, newEpoch := m.taken(version, m.tick); !whole || !newEpoch || m.known().Revision != 4 {
		t.Errorf("whole %v, new epoch %v, prefix %d", whole, newEpoch, m.known().Revision)
	}
	if _, newEpoch := m.taken(tenant.Version{Epoch: "f", Revision: 4}, m.tick); newEpoch {
		t.Error("new again")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := at(10)
	for i := range memorySlack + 10 {
		feed(m, news(effectRemove, fmt.Sprint(i), uint64(i)*2+20))
	}
	if m.marked() != memorySlack || len(m.world("e").ahead) != memorySlack {
		t.Errorf("%d marks, %d revisions", m.marked(), len(m.world("e").ahead))
	}
	if whole, _ := m.taken(tenant.Version{Epoch: "e", Revision: 1 << 30}, m.tick); whole {
		t.Error("what could not be remembered was not missed")
	}
	if whole, _ := m.taken(tenant.Version{Epoch: "e", Revision: 1 << 30}, m.tick); !whole {
		t.Error("missed for ever")
	}
}

func TestBehind(t *testing.T) {
	m := at(10)
	for version, behind := range map[tenant.Version]bool{
		{Epoch: "e", Revision: 10}: false,
		{Epoch: "e", Revision: 9}:  false,
		{Epoch: "e", Revision: 11}: true,
		{Epoch: "f", Revision: 1}:  true,
		{}:                         false,
	} {
		if m.behind(version) != behind {
			t.Errorf("%v: behind %v", version, !behind)
		}
	}
	if new(memory).behind(tenant.Version{Epoch: "e", Revision: 1}) {
		t.Error("without a versioned snapshot there is nothing to compare with")
	}
}

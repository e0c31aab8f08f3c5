package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestD17EverySpoiltFileIsIgnored with a warning: cut at every byte, and with one bit of every byte flipped.
func TestD17EverySpoiltFileIsIgnored(t *testing.T) {
	var whole []byte
	bubble(t, func(t *testing.T) {
		_, path := savedFile(t, "acme", "globex")
		whole = read(t, path)
	})
	wantIgnored := func(t *testing.T, spoilt []byte) {
		t.Helper()
		bubble(t, func(t *testing.T) {
			f := newFixture(t, "acme")
			f.cfg.SnapshotFile = filepath.Join(t.TempDir(), "tenants.snapshot")
			write(t, f.cfg.SnapshotFile, spoilt)
			f.managerDown()
			d := f.new(t)
			if err := d.Start(t.Context()); !errors.Is(err, managerapi.ErrUnavailable) {
				t.Errorf("Start: %v", err)
			}
			wantSet(t, d)
			f.log.want(t, 1, slog.LevelWarn, "the snapshot file is of no use")
			f.manager.ClearFaults()
			if err := d.Start(t.Context()); err != nil { // and it harms nothing once the manager is there
				t.Error(err)
			}
			wantSet(t, d, "acme")
		})
	}
	for n := range whole {
		wantIgnored(t, whole[:n])
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1 << (n % 8)
		wantIgnored(t, flipped)
	}
}

// TestD17LinksAndPipes: a link is read, and replaced when it is written; one that leads nowhere is not a file; one that leads
// to itself and a named pipe are of no use.
func TestD17LinksAndPipes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, path := savedFile(t, "acme", "globex")
		dir := filepath.Dir(path)
		link, nowhere, circle := filepath.Join(dir, "link"), filepath.Join(dir, "nowhere"), filepath.Join(dir, "circle")
		if err := errors.Join(os.Symlink(path, link), os.Symlink(filepath.Join(dir, "none"), nowhere), os.Symlink(circle, circle)); err != nil {
			t.Skip("NOT TESTED: links, because none can be made here: ", err)
		}
		f.managerDown()
		f.cfg.SnapshotFile = link
		d := f.start(t)
		wantSet(t, d, "acme", "globex")
		for file, warnings := range map[string]int{nowhere: 0, circle: 1} {
			f.cfg.SnapshotFile = file
			if err := f.new(t).Start(t.Context()); !errors.Is(err, managerapi.ErrUnavailable) {
				t.Errorf("%s: Start: %v", file, err)
			}
			f.log.want(t, warnings, slog.LevelWarn, "the snapshot file is of no use", file)
		}
		f.manager.ClearFaults()
		for _, file := range []string{nowhere, circle} {
			f.cfg.SnapshotFile = file
			closeIt(t, f.start(t))
			if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() {
				t.Errorf("%s was not replaced: %v, %v", file, info, err)
			}
		}
	})
}

// TestD17ACloseRightAfterStartSaves: the goroutine that saves may not have begun when Close comes.
func TestD17ACloseRightAfterStartSaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, path := savedFile(t, "acme")
		for i := range 50 {
			f.cfg.SnapshotFile = fmt.Sprintf("%s.%d", path, i)
			closeIt(t, f.start(t))
			if _, err := os.Stat(f.cfg.SnapshotFile); err != nil {
				t.Fatalf("start %d: %v", i, err)
			}
		}
	})
}

// TestD17LeftoversAreRemoved: what a killed process was writing goes with the next start; what only looks like it stays.
func TestD17LeftoversAreRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f, path := savedFile(t, "acme")
		leftovers := map[string]bool{
			".123.pending": false, ".77.pending": false, ".pending": true, ".b.123.pending": true, ".123": true, ".old": true, "b.1.pending": true,
		}
		for name := range leftovers {
			write(t, path+name, []byte("half a f"))
		}
		d := f.start(t)
		pass(2 * time.Second)
		closeIt(t, d)
		if text := string(read(t, path)); !strings.Contains(text, "acme") {
			t.Errorf("the file has %q", text)
		}
		for name, stays := range leftovers {
			if _, err := os.Stat(path + name); (err == nil) != stays {
				t.Errorf("%q: stays is to be %v, and Stat says %v", name, stays, err)
			}
		}
	})
}

// TestD18OnRealServers: neither the manager nor Redis is there at boot. With a good file the set is there, stale and with
// its age; without one Start fails, and the same process starts once they are up.
func TestD18OnRealServers(t *testing.T) {
	r := newReal(t)
	r.add(t, "acme", "globex")
	r.cfg.SnapshotFile = filepath.Join(t.TempDir(), "tenants.snapshot")
	d := r.start(t)
	wantStateSoon(t, d, discovery.Live)
	closeIt(t, d) // which saves

	r.redis.Kill()
	gone := httptest.NewServer(r.manager)
	gone.Close()
	away, err := managerapi.NewClient(managerapi.Config{BaseURL: gone.URL, APIKey: managerapi.StaticKey(r.manager.APIKey()), Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(away.Close)
	there := r.cfg.TMClient
	switched := &switching{ActiveTenantsFetcher: away}
	r.cfg.TMClient = switched
	r.add(t, "new")
	d = r.start(t)
	wantSet(t, d, "acme", "globex")
	wantState(t, d, discovery.Stale)
	if s := d.Status(); s.Age() <= 0 || s.FeedError == nil || !errors.Is(s.SnapshotError, managerapi.ErrUnavailable) {
		t.Errorf("age %v, feed error %v, snapshot error %v", s.Age(), s.FeedError, s.SnapshotError)
	}

	r.cfg.SnapshotFile = ""
	f := fixture{cfg: r.cfg}
	without := f.new(t)
	if err := without.Start(t.Context()); !errors.Is(err, managerapi.ErrUnavailable) {
		t.Errorf("without a file, Start: %v", err)
	}
	wantSet(t, without)
	wantState(t, without, discovery.Starting)

	r.redis.Start()
	switched.to(there)
	if err := without.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, one := range []*discovery.TenantDiscovery{d, without} {
		r.wantEqual(t, one)
		wantStateSoon(t, one, discovery.Live)
	}
}

// switching is a TMClient that can be exchanged while it is used.
type switching struct {
	discovery.ActiveTenantsFetcher

	mu sync.Mutex // guards it
}

func (s *switching) to(other discovery.ActiveTenantsFetcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ActiveTenantsFetcher = other
}

func (s *switching) GetActiveTenantsByService(ctx context.Context, service string) ([]*tenant.Summary, error) {
	s.mu.Lock()
	now := s.ActiveTenantsFetcher
	s.mu.Unlock()
	return now.GetActiveTenantsByService(ctx, service)
}

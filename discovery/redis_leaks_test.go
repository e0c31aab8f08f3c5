package discovery_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// resources are what a leak would show in.
type resources struct{ goroutines, descriptors, connections int }

func (r *realServers) resources(t *testing.T) resources {
	t.Helper()
	r.client.Close() // what is idle and would be used again is not a leak
	return resources{runtime.NumGoroutine(), descriptors(t), r.redis.Connections(t.Context())}
}

// descriptors counts the open files of this process, where that can be counted.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// wantFlat runs something a hundred times and wants no more goroutines, descriptors and connections afterwards.
func (r *realServers) wantFlat(t *testing.T, once func()) {
	t.Helper()
	once() // what is made once and stays, like connections to the manager
	before := r.resources(t)
	for range 100 {
		once()
	}
	r.wantNoMore(t, before)
}

// wantNoMore waits until there is as little as before.
func (r *realServers) wantNoMore(t *testing.T, before resources) {
	t.Helper()
	eventually(t, func() string {
		now := r.resources(t)
		const closing = 2 // descriptors of a connection that is just being made or closed; a leak of one a time is a hundred
		if now.goroutines > before.goroutines || now.descriptors > before.descriptors+closing || now.connections > before.connections {
			return fmt.Sprintf("before %+v, now %+v", before, now)
		}
		return ""
	})
}

func TestNothingIsLeft(t *testing.T) {
	r := newReal(t)
	r.add(t, "acme")
	cycle := func() {
		d, err := discovery.NewTenantDiscovery(r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("100 starts and closes", func(t *testing.T) { r.wantFlat(t, cycle) })
	t.Run("100 failed bootstraps", func(t *testing.T) {
		d, err := discovery.NewTenantDiscovery(r.cfg)
		if err != nil {
			t.Fatal(err)
		}
		r.wantFlat(t, func() {
			r.manager.FailList(1, 500, "")
			if err := d.Start(t.Context()); err == nil {
				t.Fatal("Start says nothing")
			}
		})
		if err := d.Start(t.Context()); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	proxy := r.via(t)
	r.cfg.FeedTimeout = 20 * time.Millisecond
	r.cfg.RedisConfig.SilenceLimit = 10 * time.Millisecond
	for name, mode := range map[string]testserver.Mode{
		"accepted and never answered": testserver.Mute,
		"closed right after":          testserver.Refuse,
		"reset":                       testserver.Reset,
		"closed after some bytes":     testserver.CutAfter(20),
	} {
		t.Run("100 feeds: "+name, func(t *testing.T) {
			proxy.Set(mode)
			r.wantFlat(t, cycle)
		})
	}
	proxy.Set(testserver.Pass)
	t.Run("100 feeds: refused", func(t *testing.T) {
		r.redis.Do(t.Context(), "ACL", "SETUSER", "narrow", "on", ">sesame", "+ping", "+hello", "+subscribe", "resetchannels")
		r.cfg.RedisConfig.Username, r.cfg.RedisConfig.Password = "narrow", "sesame"
		r.wantFlat(t, cycle)
	})
}

package main

import (
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
)

// TestX01FollowOnAnotherRedis: it is not live there, and says which channel, Redis and environment to look at.
func TestX01FollowOnAnotherRedis(t *testing.T) {
	t.Parallel()
	other := testserver.StartRedis(t)
	dev := startProcess(t, nil, "dev", "--no-churn", "--json", "--tenants", "2")
	ready := dev.ready()
	ready.RedisURL = "redis://" + other.Addr()
	follow := ready.follow(t)
	follow.await(&follow.err, "polling with 2 tenants: ")
	said := follow.err.String()
	if strings.Contains(said, "live with") || !strings.Contains(said, other.Addr()) || !strings.Contains(said, "tenant-heartbeat:dev") {
		t.Errorf("it says\n%s", said)
	}
	follow.interrupt()
	dev.interrupt()
}

// TestX01FollowShowsWhatNoEventAnnounced, each difference once.
func TestX01FollowShowsWhatNoEventAnnounced(t *testing.T) {
	var said strings.Builder
	tell := tellDrift(&printer{w: &said}, false)
	tell(discovery.Status{State: discovery.Live, Tenants: 3}, 1)
	tell(discovery.Status{State: discovery.Live, Tenants: 3}, 4)
	for _, want := range []string{"live with 3 tenants: the list had a difference that no event has announced", "the list had 4 differences that"} {
		if strings.Count(said.String(), want) != 1 {
			t.Errorf("no %q in\n%s", want, &said)
		}
	}
}

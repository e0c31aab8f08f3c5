package discovery_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/discovery"
	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// TestStatusAsJSON has words and texts, as the page has.
func TestStatusAsJSON(t *testing.T) {
	data, err := json.Marshal(discovery.Status{State: discovery.Polling, FeedError: errors.New("refused"), Tenants: 3})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		State     string  `json:"state"`
		Tenants   int     `json:"tenants"`
		FeedError string  `json:"feed_error"`
		Snapshot  *string `json:"snapshot_error"`
	}
	if err := json.Unmarshal(data, &got); err != nil || got.State != "polling" || got.Tenants != 3 || got.FeedError != "refused" || got.Snapshot != nil {
		t.Errorf("got %s, %v", data, err)
	}
}

// TestStatesAreThoseOfTheCore: the numbers are the same, and so are the words.
func TestStatesAreThoseOfTheCore(t *testing.T) {
	for state, want := range map[discovery.State]activeset.State{
		discovery.Starting: activeset.Starting, discovery.Live: activeset.Live, discovery.Syncing: activeset.Syncing,
		discovery.Polling: activeset.Polling, discovery.Stale: activeset.Stale, discovery.Closed: activeset.Closed,
	} {
		if activeset.State(state) != want || state.String() != want.String() {
			t.Errorf("%d %s, want %d %s", state, state, want, want)
		}
	}
}

// TestConfigNamesEveryBadField, those of the RedisConfig too.
func TestConfigNamesEveryBadField(t *testing.T) {
	_, err := discovery.NewTenantDiscovery(discovery.Config{
		RedisConfig: redisevents.Config{Host: "redis", Port: "no port", SilenceLimit: -1}, PollInterval: -1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{"ServiceName", "TMClient", "Port", "SilenceLimit", "PollInterval"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in %q", field, err)
		}
	}
}

package testserver

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	sentinelCount = 3
	// downAfter is how long a server may be silent before Sentinels take it for dead. The failover takes about a second
	// more.
	downAfter       = time.Second
	failoverTimeout = 3 * time.Second // until a failover that hangs is tried again
)

// Sentinels is a master with one replica, and three Sentinels that watch them and make the replica the master when the
// master is dead.
type Sentinels struct {
	Name      string    // of the master
	Servers   [2]*Redis // the first is the master in the beginning
	Sentinels []*Redis
}

// StartSentinels starts five processes, each like StartRedis, and returns once a failover could take place.
func StartSentinels(t testing.TB) *Sentinels {
	t.Helper()
	s := &Sentinels{Name: "events"}
	s.Servers[0] = StartRedis(t, "--repl-diskless-sync-delay", "0")
	s.Servers[1] = StartRedis(t, "--repl-diskless-sync-delay", "0")
	s.Servers[1].Do(t.Context(), "REPLICAOF", s.Servers[0].Host(), s.Servers[0].Port())
	waitFor(t, "replication", func() bool {
		info, _ := s.Servers[1].Do(t.Context(), "INFO", "replication").(string)
		return strings.Contains(info, "master_link_status:up")
	})
	for range sentinelCount {
		s.Sentinels = append(s.Sentinels, s.startSentinel(t))
	}
	for _, sentinel := range s.Sentinels {
		waitFor(t, "the Sentinels to know each other and the replica", func() bool {
			master, err := sentinel.Client().Do(t.Context(), "SENTINEL", "MASTER", s.Name).Result()
			fields := fmt.Sprint(master)
			return err == nil && strings.Contains(fields, fmt.Sprintf("num-other-sentinels:%d ", sentinelCount-1)) &&
				strings.Contains(fields, "num-slaves:1 ")
		})
	}
	return s
}

// Addrs returns the "host:port" of each Sentinel.
func (s *Sentinels) Addrs() []string { return addrs(s.Sentinels) }

// Master returns the server that the first Sentinel takes for the master. An answer that is neither of the two fails the
// test.
func (s *Sentinels) Master(t testing.TB) *Redis {
	t.Helper()
	pair, _ := s.Sentinels[0].Do(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.Name).([]any)
	for _, server := range s.Servers {
		if len(pair) == 2 && server.Addr() == net.JoinHostPort(fmt.Sprint(pair[0]), fmt.Sprint(pair[1])) {
			return server
		}
	}
	t.Fatalf("the Sentinel's master is %v", pair)
	return nil
}

func (s *Sentinels) startSentinel(t testing.TB) *Redis {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "sentinel.conf") // a Sentinel keeps in it what it learns
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel := startRedis(t, dir, []string{config, "--sentinel"}, nil)
	master := s.Servers[0]
	sentinel.Do(t.Context(), "SENTINEL", "MONITOR", s.Name, master.Host(), master.Port(), sentinelCount/2+1)
	sentinel.Do(t.Context(), "SENTINEL", "SET", s.Name,
		"down-after-milliseconds", downAfter.Milliseconds(), "failover-timeout", failoverTimeout.Milliseconds())
	return sentinel
}

func addrs(servers []*Redis) []string {
	var all []string
	for _, server := range servers {
		all = append(all, server.Addr())
	}
	return all
}

func waitFor(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); !condition(); <-time.After(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s", startTimeout, what)
		}
	}
}

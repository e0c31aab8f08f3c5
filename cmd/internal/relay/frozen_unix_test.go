//go:build unix

package relay

import (
	"syscall"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// TestM08FrozenAndResumed stops the process that relays, ends its session with the database as a failing network would,
// lets another one take over, and has it go on then: it may repeat events, and not overtake any. It is done by turns, so
// that each was frozen and took over.
func TestM08FrozenAndResumed(t *testing.T) {
	const turns = 6
	server, database := testserver.StartRedis(t), testserver.SharedPostgres(t)
	dsn := database.Database(t)
	heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
	s, _ := useStore(t, dsn)
	var children [2]*child
	for i := range children {
		children[i] = startChild(t, job{DSN: dsn, Host: server.Host(), Port: server.Port()})
		eventually(t, "the first relay", func() bool { return children[0].said(leads) == 1 })
	}
	stop := keepChanging(t, s)
	for turn := range turns {
		leader, other := children[turn%2], children[(turn+1)%2]
		before := other.said(leads)
		heard.wait(t, len(heard.heard())+20)
		must(t, leader.cmd.Process.Signal(syscall.SIGSTOP))
		database.Run(t, "psql", "-d", dsn, "-c", `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
			AND classid::bigint = x'74770002'::bigint -- and not that of the other, which may be looking for migrations still
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
		eventually(t, "another relay", func() bool { return other.said(leads) == before+1 })
		heard.wait(t, len(heard.heard())+20)
		must(t, leader.cmd.Process.Signal(syscall.SIGCONT))
	}
	stop()
	waitUntilSent(t, s)
	events := allEvents(t, s)
	eventually(t, "all events", func() bool { return inOrder(t, heard.events(t)) == len(events) })
	twice := checkPublished(t, events, heard.heard())
	t.Logf("%d turns, %d events, all published, %d of them twice", turns, len(events), twice)
}

// TestM08FrozenForLong: the database ends the session of a relay that says nothing, and another one takes over.
func TestM08FrozenForLong(t *testing.T) {
	server := testserver.StartRedis(t)
	dsn := testserver.SharedPostgres(t).Database(t)
	heard := listen(t, server, redisevents.EnvironmentChannelName(environment))
	s, _ := useStore(t, dsn)
	first := startChild(t, job{DSN: dsn, Host: server.Host(), Port: server.Port()})
	eventually(t, "the first relay", func() bool { return first.said(leads) == 1 })
	must(t, first.cmd.Process.Signal(syscall.SIGSTOP))
	second := startChild(t, job{DSN: dsn, Host: server.Host(), Port: server.Port()})
	create(t, s, "acme")
	eventually(t, "the second relay", func() bool { return second.said(leads) == 1 })
	heard.wait(t, 1)
	must(t, first.cmd.Process.Signal(syscall.SIGCONT))
	waitUntilSent(t, s)
}

package discovery_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/managerapi"
	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// realFaults are all that there are.
func realFaults(s scale) []*fault {
	all := append(serverFaults(s), linkFaults(s)...)
	all = append(all, clientFaults(s)...)
	return append(all, managerFaults(s)...)
}

// serverFaults are those of the process.
func serverFaults(s scale) []*fault {
	b := boundsOf(s)
	away, silent := lasting(10*time.Second, 500*time.Millisecond), lasting(time.Minute, 3*time.Second)
	return []*fault{
		{
			name: "Redis killed", row: "D1", lasts: away, bound: b.back, notices: time.Second, exact: true,
			strike: (*arena).kill, heal: (*arena).revive,
		},
		{
			name: "Redis shut down", row: "D1", lasts: away, bound: b.back, notices: time.Second, exact: true,
			strike: (*arena).shutDown, heal: (*arena).revive,
		},
		{
			name: "Redis stopped (SIGSTOP)", row: "D2", lasts: silent, bound: b.back, notices: b.silent,
			strike: func(a *arena) {
				a.cutOff.Store(true)
				a.redis.Pause()
			},
			heal: func(a *arena) {
				a.redis.Resume()
				a.cutOff.Store(false)
			},
		},
		{
			name: "Redis down at Start", row: "D23", lasts: silent, bound: b.patient, fresh: true,
			strike: func(a *arena) {
				a.leave()
				a.kill()
				a.enter()
			},
			heal: (*arena).revive,
		},
		{
			name: "Redis emptied while silent", row: "D2", lasts: lasting(20*time.Second, 2*time.Second), bound: b.back, notices: b.silent,
			strike: func(a *arena) {
				a.link.Set(testserver.Silence)
				a.redis.Do(a.t.Context(), "FLUSHALL")
			},
			heal: letPass,
		},
		{
			name: "Redis restarted while silent", row: "D2", lasts: lasting(20*time.Second, 2*time.Second), bound: b.back, notices: b.silent,
			strike: func(a *arena) {
				a.link.Set(testserver.Silence)
				a.kill()
				a.revive()
			},
			heal: letPass,
		},
	}
}

// linkFaults are those of the connection: the five forms, and lost packets.
func linkFaults(s scale) []*fault {
	b := boundsOf(s)
	form := func(name string, mode testserver.Mode, lasts, bound, notices time.Duration) *fault {
		return &fault{
			name: name, row: "D2", lasts: lasts, bound: bound, notices: notices,
			strike: func(a *arena) { a.link.Set(mode) }, heal: letPass,
		}
	}
	away, silent := lasting(10*time.Second, 500*time.Millisecond), lasting(time.Minute, 3*time.Second)
	return []*fault{
		form("link closed (FIN)", testserver.Close, away, b.back, time.Second),
		form("link reset (RST)", testserver.Reset, away, b.back, time.Second),
		form("link silent", testserver.Silence, silent, b.back, b.silent),
		form("link trickles, 1 B/s", testserver.Trickle, silent, b.back, b.silent),
		form("link accepted, never answered", testserver.Mute, silent, b.rotten, b.silent),
		{
			name: "packets dropped (iptables)", row: "D2", apart: true, lasts: silent, bound: b.dial, notices: b.silent,
			strike: func(a *arena) {
				a.cutOff.Store(true)
				a.drop("-A")
			},
			heal: func(a *arena) {
				a.drop("-D")
				a.cutOff.Store(false)
			},
			prepare: func(a *arena) { // no proxy: it is the library's own packets that are lost
				a.cfg.RedisConfig.Host, a.cfg.RedisConfig.Port = a.redis.Host(), a.redis.Port()
			},
		},
	}
}

// clientFaults are what Redis does to one client.
func clientFaults(s scale) []*fault {
	b := boundsOf(s)
	return []*fault{
		{
			name: "CLIENT KILL, ten times", row: "D1", lasts: lasting(10*time.Second, time.Second), bound: b.back,
			step: func(a *arena, _ int) { a.redis.Do(a.t.Context(), "CLIENT", "KILL", "USER", watcherName) },
		},
		{
			name: "slow reader cut off", row: "D20", only: "pubsub", lasts: lasting(5*time.Second, 500*time.Millisecond), bound: b.held,
			redis:   []string{"--client-output-buffer-limit", "pubsub 256kb 128kb 1"},
			prepare: func(a *arena) { a.cfg.RedisConfig.SilenceLimit = 10 * time.Second }, // so that it is Redis that ends it
			strike:  (*arena).floodUntilCut, heal: letPass,
		},
		{
			name: "flood that nobody can read", row: "D14", only: "pubsub", lasts: lasting(10*time.Second, time.Second), bound: b.back,
			step: func(a *arena, _ int) { a.floodOfNonsense() },
		},
		{
			name: "ACL revoked", row: "D27", lasts: lasting(10*time.Second, 500*time.Millisecond), bound: b.back, notices: time.Second,
			strike: func(a *arena) { a.redis.Do(a.t.Context(), "ACL", "SETUSER", watcherName, "resetchannels", "resetkeys") },
			heal:   func(a *arena) { a.redis.Do(a.t.Context(), "ACL", "SETUSER", watcherName, "allchannels", "allkeys") },
		},
	}
}

// managerFaults are those of the manager while Redis restarts as well.
func managerFaults(s scale) []*fault {
	b := boundsOf(s)
	const retries = 1 + managerapi.DefaultRetries
	lasts := lasting(12*time.Second, time.Second)
	return []*fault{
		{
			name: "manager gone, Redis restarts", row: "D1", lasts: lasts, bound: b.client, notices: time.Second, attempts: retries,
			strike: func(a *arena) {
				a.front.Set(testserver.Reset)
				a.kill()
			},
			step: reviveIn3,
			heal: func(a *arena) { a.front.Set(testserver.Pass) },
		},
		{
			name: "manager says 503, Redis restarts", row: "D11", lasts: lasts, bound: b.client + time.Second, notices: time.Second, attempts: retries,
			strike: func(a *arena) {
				a.manager.Fail(-1, http.StatusServiceUnavailable, "1")
				a.kill()
			},
			step: reviveIn3,
			heal: func(a *arena) { a.manager.ClearFaults() },
		},
		{
			name: "manager slow, Redis restarts", row: "D5", lasts: lasts, bound: b.slow, notices: time.Second, recovers: true,
			strike: func(a *arena) {
				a.manager.DelayList(-1, s.slow)
				a.kill()
			},
			step: reviveIn3,
			heal: (*arena).changeUnderAnswer,
		},
		{
			name: "manager gone for long, no retries", row: "D1", lasts: lasting(time.Minute, 1500*time.Millisecond), bound: b.backoff, notices: time.Second,
			prepare: func(a *arena) { a.dialManager(-1) },
			strike: func(a *arena) {
				a.front.Set(testserver.Reset)
				a.kill()
			},
			step: reviveIn3,
			heal: func(a *arena) { a.front.Set(testserver.Pass) },
		},
	}
}

func letPass(a *arena) { a.link.Set(testserver.Pass) }

func reviveIn3(a *arena, round int) {
	if round == 3 {
		a.revive()
	}
}

func (a *arena) kill() {
	a.cutOff.Store(true)
	a.redis.Kill()
}

func (a *arena) shutDown() {
	a.cutOff.Store(true)
	_ = a.redis.Client().ShutdownNoSave(a.t.Context()).Err() // it hangs up instead of answering
	a.redis.Kill()                                           // which waits for its end
}

// revive returns when Redis answers.
func (a *arena) revive() {
	a.redis.Start()
	a.cutOff.Store(false)
}

// changeUnderAnswer has tenants come and go while an old list is on its way, and nothing after it that would make
// anybody ask again: what the events say has to outlive the list.
func (a *arena) changeUnderAnswer() {
	a.hear()
	a.askAnew()
	a.change(3, 0)
	newest := a.live[len(a.live)-1]
	eventually(a.t, func() string {
		if !a.d.IsActive(newest) {
			return "the event has not arrived"
		}
		return ""
	})
	a.manager.ClearFaults()
}

// floodOfNonsense publishes much that is not an event, a little at a time.
func (a *arena) floodOfNonsense() {
	channel := redisevents.EnvironmentChannelName(faultEnvironment)
	for range 100 {
		if err := a.redis.Client().Publish(a.t.Context(), channel, "{").Err(); err != nil {
			a.t.Fatal(err)
		}
		<-time.After(time.Millisecond / 2)
	}
}

// askAnew makes the discovery ask for the list, by an event of a type that nobody knows, and waits until it has asked.
func (a *arena) askAnew() {
	before := a.manager.Requests()
	if err := a.d.HandleEvent(a.t.Context(), tenant.Event{EventType: "tenant.unheard", TenantID: pillar}); err != nil {
		a.t.Fatal(err)
	}
	eventually(a.t, func() string {
		if a.manager.Requests() == before {
			return "it does not ask for the list"
		}
		return ""
	})
}

// floodUntilCut holds everything on the link, and publishes until Redis closes the connection.
func (a *arena) floodUntilCut() {
	a.link.Set(testserver.Silence)
	padding := string(bytes.Repeat([]byte("x"), 64<<10))
	data, err := json.Marshal(tenant.Event{
		EventType: tenant.EventServiceAssociated, TenantID: "flood", Environment: faultEnvironment,
		Payload: json.RawMessage(`{"service_name":"other","padding":"` + padding + `"}`),
	})
	if err != nil {
		a.t.Fatal(err)
	}
	channel := redisevents.EnvironmentChannelName(faultEnvironment)
	eventually(a.t, func() string {
		receivers, err := a.redis.Client().Publish(a.t.Context(), channel, data).Result()
		if err != nil || receivers > 0 {
			return fmt.Sprintf("Redis has not cut the reader off: %d receivers, %v", receivers, err)
		}
		return ""
	})
}

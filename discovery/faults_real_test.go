package discovery_test

import (
	"flag"
	"fmt"
	"net"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/redisevents"
	"github.com/tenantwatch/tenantwatch/tenant"
)

var (
	faultsFull   = flag.Bool("faults.full", false, "TestFaults: durations and numbers as in production, and the bounds as promised")
	faultsTimes  = flag.Int("faults.times", 0, "TestFaults: how often each fault comes; 0 is once, and five times with -faults.full")
	faultsOnly   = flag.String("faults.only", "", "TestFaults: only the faults that have this in their name")
	faultsResult = flag.String("faults.result", "", "TestFaults: a file for what was measured, as JSON; set where it runs itself in a network namespace")
)

// feedUnderTest is one way that events come, as [discovery.Config] gets it, and the publisher of its other end.
type feedUnderTest struct {
	name      string
	feed      func(cfg redisevents.Config, environment string) (tenant.Feed, error)
	publisher func(cfg redisevents.Config) (*redisevents.Publisher, error)
}

// faultFeeds are the feeds that each fault is tried on.
var faultFeeds = []feedUnderTest{
	{
		name: "pubsub",
		feed: func(cfg redisevents.Config, environment string) (tenant.Feed, error) {
			return redisevents.NewPubSub(cfg, environment)
		},
		publisher: func(cfg redisevents.Config) (*redisevents.Publisher, error) {
			return redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg})
		},
	},
	{
		name: "stream",
		feed: func(cfg redisevents.Config, environment string) (tenant.Feed, error) {
			return redisevents.NewStream(cfg, environment)
		},
		publisher: func(cfg redisevents.Config) (*redisevents.Publisher, error) {
			return redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg, Stream: true})
		},
	},
}

// scale is how much of everything there is.
type scale struct {
	times     int
	tenants   int           // from the beginning
	added     int           // tenants that come in each cycle; as many leave
	undone    int           // tenants that come and go, or go and come, in each cycle
	silence   time.Duration // SilenceLimit
	calm      time.Duration // how long all is well before each fault
	spread    time.Duration // ResyncSpread
	poll      time.Duration // PollInterval
	slow      time.Duration // what a slow manager takes
	allowance time.Duration // on top of every bound, for a machine that has other things to do
	atOnce    int           // faults
}

// theScale is for any machine, however busy, in the short form; in the full one it is what the guarantees speak of.
func theScale() scale {
	s := scale{
		times: 1, tenants: 60, added: 15, undone: 20, silence: time.Second, spread: 100 * time.Millisecond,
		poll: 10 * time.Minute, slow: 300 * time.Millisecond, allowance: 20 * time.Second, atOnce: 6,
	}
	if *faultsFull {
		s = scale{
			times: 5, tenants: 1500, added: 350, undone: 300, silence: 10 * time.Second, calm: 11 * time.Second, spread: time.Second,
			poll: 15 * time.Second, slow: 3 * time.Second, allowance: time.Second, atOnce: 100,
		}
	}
	if *faultsTimes > 0 {
		s.times = *faultsTimes
	}
	return s
}

// TestFaults brings every fault upon a discovery, a redis-server and a manager behind HTTP of its own, again and again:
// all is equal and live, the fault begins, tenants come and go, the fault ends, and the set has to be the manager's
// within the bound. It prints what it measured.
func TestFaults(t *testing.T) {
	before := resting(t)
	s := theScale()
	report := &faultReport{scale: s}
	var all sync.WaitGroup
	places := make(chan struct{}, s.atOnce)
	for _, feed := range faultFeeds {
		for i, f := range realFaults(s) {
			f.offset = s.calm / 20 * time.Duration(i)
			if !strings.Contains(f.name, *faultsOnly) || f.only != "" && f.only != feed.name {
				continue
			}
			line := report.line(feed.name, f)
			all.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				t.Run(feed.name+"/"+f.name, func(t *testing.T) { f.run(t, s, feed, line) })
			})
		}
	}
	all.Wait()
	report.publish(t)
	eventually(t, func() string {
		now := resources{goroutines: runtime.NumGoroutine(), descriptors: descriptors(t)}
		if now.goroutines > before.goroutines || now.descriptors > before.descriptors {
			return fmt.Sprintf("something is left: before %+v, now %+v", before, now)
		}
		return ""
	})
}

// resting is what there is before anything was started, except what the runtime opens once, for its first connection.
func resting(t *testing.T) resources {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return resources{goroutines: runtime.NumGoroutine(), descriptors: descriptors(t)}
}

// fault is one thing that goes wrong, and how to make it.
type fault struct {
	name string
	row  string // of docs/guarantees.md
	// only is the feed that it makes sense for; empty is all.
	only string
	// redis is what is added to the server's command line; prepare may change anything before the discovery is made.
	redis   []string
	prepare func(*arena)
	// strike begins the fault, step goes on with it before each round of changes, heal ends it.
	strike func(*arena)
	step   func(a *arena, round int)
	heal   func(*arena)
	// lasts is how long the changes go on under it, and bound how long it may take after it until all is equal and live.
	lasts, bound time.Duration
	// notices is within which time the state has to be something else than live; zero where the fault is over sooner.
	notices time.Duration
	// recovers says that the discovery may be live again, and rightly, before the fault is healed: on a busy machine, where the
	// cycle takes longer than the list.
	recovers bool
	// exact means that nothing is heard of the changes before the fault is over: then each net change is told once, and
	// one reconcile finds all of them.
	exact bool
	// fresh means that strike starts a new discovery, which has never been live and to which everything is news.
	fresh bool
	// attempts is how often the client asks for one request for the list; zero is once.
	attempts int
	// offset keeps the faults from ending all at once, which is more than two cores can do.
	offset time.Duration
	// apart means that it needs a network namespace of its own.
	apart bool
}

// run has the fault come as often as the scale says.
func (f *fault) run(t *testing.T, s scale, feed feedUnderTest, line *faultLine) {
	t.Helper()
	if f.apart && *faultsResult == "" {
		f.runApart(t, s, line)
		return
	}
	// The label tells the goroutines of this fault from those of the others that run at the same time.
	label := feed.name + "/" + f.name
	pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels("fault", label)))
	a := newArena(t, s, f, feed)
	a.label = label
	for range s.times {
		line.add(a.cycle())
		if t.Failed() {
			return
		}
	}
	a.wantNoSecret()
}

// bounds are the parts that the bounds are made of.
type bounds struct {
	back    time.Duration // Redis is back: a second to notice, and the jitter of the reconcile
	held    time.Duration // some ten MB that were held up are read first
	silent  time.Duration // within which silence is noticed
	rotten  time.Duration // a connection was begun that will never be answered, and has to be given up first
	patient time.Duration // after a minute of failures the feed tries every five seconds
	dial    time.Duration // packets were lost, and the kernel sends again when it sees fit, or the dial times out
	client  time.Duration // the manager's client waits for its next attempt
	slow    time.Duration // the manager takes its time
	backoff time.Duration // discovery waits after failures
}

func boundsOf(s scale) bounds {
	back := time.Second + s.spread
	return bounds{
		back: back, held: time.Second + back, silent: s.silence + time.Second, rotten: s.silence + back, patient: 5*time.Second + back,
		dial: 5*time.Second + back, client: 5*time.Second + back, slow: s.slow + back, backoff: 30*time.Second + back,
	}
}

// lasting is the duration of the full form, and of the short one.
func lasting(full, short time.Duration) time.Duration {
	if *faultsFull {
		return full
	}
	return short
}

// median of durations that are sorted.
func median[T any](sorted []T) (m T) {
	if len(sorted) > 0 {
		m = sorted[(len(sorted)-1)/2]
	}
	return m
}

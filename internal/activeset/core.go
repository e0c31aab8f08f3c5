package activeset

import (
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Config says for whom a [Core] decides, and how. All of it is set; nothing has a default here.
type Config struct {
	Service     string
	Environment string // in normal form; empty takes the events of all
	// Place says where the events come from, and Channel on which channel the heartbeats of an environment do: for people.
	Place   string
	Channel func(environment string) string

	ResyncInterval time.Duration
	PollInterval   time.Duration
	ResyncSpread   time.Duration
	Guard          Guard
	// Many is from how many changes of one list on they are told as a [Wave], and Slack how many tenants may at least have changed
	// before a set is rebuilt.
	Many, Slack int
	Changes     bool  // can be asked for in place of a list
	Names       bool  // of the tenants are kept
	Least       Level // of the lines that are wanted
	Dice        Dice  // of all jitter
}

// Core is all that changes in a discovery, and what decides of it. It has no lock, no clock and no goroutine: whoever owns one
// calls its methods one at a time and says what time it is. After every call that changes something the owner calls
// [Core.Next], and does what that says.
type Core struct {
	cfg     Config
	phase   phase
	set     Set
	draft   *draft // of what was changed since anybody was given the set
	history history
	names   names

	feedUp  bool
	feedErr error
	// gaps counts the times that something may have been missed; closed is the newest of them that a snapshot, asked
	// for after it, has closed. closed < gaps means that one is open.
	gaps, closed uint64
	lastGap      string
	listGap      uint64    // the newest gap that only a list closes, and no changes
	whole        bool      // the list is to be asked for next
	unlisted     string    // the epoch in which the manager has no changes
	listedAt     time.Time // when a list was taken last
	// losses counts the times that events were missed for a reason that is known, and covered is the newest of them that a
	// snapshot has covered: what it showed needs no other reason.
	losses, covered uint64
	hearing         hearing
	unheard         *UnheardError // the subscription is up, and nothing has come by it in time
	differences     differences
	environment     string // of the last list; empty where it named none
	held            bool   // the last snapshot's removals are held, the next one is applied as it is

	memory       memory    // tells old events and snapshots from new
	nextLook     time.Time // when what is missing by then is a gap; zero when nothing is
	doubts       []doubt
	plan         schedule
	span         span
	have         tenant.Snapshot // of the set, while it is exactly that of the last snapshot
	snapshotErr  error
	fromFile     bool // the set is that of the snapshot file, and no snapshot has come since
	failingSince time.Time
	refused      int       // snapshots in a row that were older than what had been heard of
	refusedSince time.Time // when the first of them came

	status Status           // the counters and times in it; settle fills in the rest
	warned [Closed + 1]bool // of which states, since it was Live
	alarms alarms

	news  []News // since the last Next
	told  []News // by that; its room is used again
	lines []Line // the same
}

// phase is where a core is between its beginning and its end.
type phase uint8

const (
	phaseIdle phase = iota
	phaseStarting
	phaseStarted
	phaseClosed
)

// alarms keep what arrives in floods from flooding the log.
type alarms struct {
	lastBad      time.Time
	lost         string // the kind of reason for which the feed was lost last
	skipped      uint64 // rows of the last list
	unknownTypes map[tenant.EventType]bool
	environment  string
	twoHeard     bool
}

// Next is what is to be done now that a core has changed.
type Next struct {
	Set         Set // to be published first
	Status      Status
	Environment string // of the last list; empty where it named none
	// StateChanged says that the state is another one than by the Next before, and the core is started.
	StateChanged bool
	News         []News // to be told to those who watch, once the set is published, and before the next Next
	Lines        []Line // to be logged, once no lock is held
	// Rebuild says that so much of the set has changed that [Set.Rebuilt] and then [Core.Rebuild] are worth their while.
	Rebuild bool
	// Due is when the next request is to begin: at once where it is zero. Turn is when Next is to be asked again although nothing
	// has happened; zero when it need not be.
	Due, Turn time.Time
}

// Line is a line for the log: a text, and keys with values in turn.
type Line struct {
	Level Level
	Text  string
	Args  []any
}

// Level is that of a [Line]. The numbers are those of log/slog.
type Level int

// The levels.
const (
	Debug Level = -4
	Info  Level = 0
	Warn  Level = 4
	None  Level = 8 // above all lines
)

// Worn reports whether so much of the set has changed that it is worth rebuilding.
func (cfg Config) Worn(s Set) bool { return s.changed > s.slack(cfg.Slack) }

// New returns a core that has not begun.
func New(cfg Config) *Core {
	return &Core{cfg: cfg}
}

// Begin forgets what an earlier beginning that failed has left, and begins. The core is empty, and starting, until
// [Core.Answer] brings the first list, or [Core.Restore] takes its place.
func (c *Core) Begin() {
	*c = Core{cfg: c.cfg, phase: phaseStarting, status: Status{Since: c.status.Since}}
	if c.cfg.Names {
		c.names.of = make(map[string]string)
	}
	c.plan.spread, c.plan.dice = c.cfg.ResyncSpread, c.cfg.Dice
}

// Abandon ends a beginning that has failed, unless the core is closed or was started.
func (c *Core) Abandon(failure error) {
	if c.phase == phaseStarting {
		c.phase, c.feedUp, c.snapshotErr = phaseIdle, false, failure
	}
}

// Close ends the core. It keeps the set.
func (c *Core) Close() { c.phase, c.feedUp = phaseClosed, false }

// Idle reports whether the core has not begun, or its beginning was abandoned. It is starting when it is neither idle, nor started, nor
// closed.
func (c *Core) Idle() bool { return c.phase == phaseIdle }

// Started reports whether the core has its first set, and is not closed.
func (c *Core) Started() bool { return c.phase == phaseStarted }

// Closed reports whether the core was closed.
func (c *Core) Closed() bool { return c.phase == phaseClosed }

// Set returns the set.
func (c *Core) Set() Set {
	c.draft = new(draft)
	return c.set
}

// Initial returns the set for somebody who has heard of nothing yet: each tenant as the change by which it came to be there, most of them
// as a wave.
func (c *Core) Initial() (news []News) {
	c.draft = new(draft)
	if c.set.base != nil {
		news = append(news, News{Wave: &Wave{added: c.set.base, notAdded: c.set.hidden}})
	}
	c.set.added.walk(func(e *entry) bool {
		news = append(news, News{Key: tenant.CanonicalID(e.id), Change: e.origin.change(tenant.Added, e.id)})
		return true
	})
	return news
}

// CameBy completes a change of a [Wave] that says nothing of its cause.
func (c *Core) CameBy(change tenant.Change) tenant.Change {
	if change.Cause != "" {
		return change
	}
	return c.history.added(tenant.CanonicalID(change.TenantID), change)
}

// Explain returns the last changes of the tenant, oldest first.
func (c *Core) Explain(key string) []tenant.Change {
	id, by, _ := c.set.find(key)
	return c.history.of(key, id, by)
}

// Name returns the name of a tenant of the set, and false where it is not known or not kept.
func (c *Core) Name(key string) (name string, known bool) {
	if !c.set.Has(key) {
		return "", false
	}
	name, known = c.names.of[key]
	return name, known
}

// Recent returns the last changes of all tenants, newest first.
func (c *Core) Recent() []tenant.Change { return c.history.newest() }

// Rebuild takes the place of the set by the same set in another form, unless that is of no use any more: what has changed since is
// changed in it, too. See [Next.Rebuild].
func (c *Core) Rebuild(was, is Set) {
	if c.set.base != was.base {
		return
	}
	mine := new(draft)
	c.set.since(was, func(id string) {
		spelled, by, there := c.set.find(id)
		known, from, had := is.find(id)
		if there == had && known == spelled && from == by {
			return // it came and went, or not even that
		}
		if had {
			is = is.withoutIn(mine, id)
		}
		if there {
			is = is.withIn(mine, spelled, by)
		}
	})
	c.set = is
}

// Panicked counts a panic of code that the user has handed in.
func (c *Core) Panicked() { c.status.Counters.CallbackPanics++ }

// Next looks what the time has changed, works out the state, and returns what is to be done.
func (c *Core) Next(now time.Time) Next {
	c.look(now)
	c.listen(now)
	c.warnUnannounced(now)
	changed := c.settle(now)
	next := Next{
		Set: c.set, Status: c.status, Environment: c.environment, StateChanged: changed && c.phase == phaseStarted,
		News: c.news, Lines: c.lines, Due: c.plan.due(), Turn: c.turn(now),
		Rebuild: c.cfg.Worn(c.set),
	}
	c.told, c.news = c.news, c.told
	clear(c.news)
	c.news, c.lines, c.draft = c.news[:0], nil, new(draft)
	return next
}

// settle works out the status. It returns true when the state is another one.
func (c *Core) settle(now time.Time) (changed bool) {
	before, s := c.status.State, &c.status
	s.State = c.state(now)
	s.Tenants, s.FeedConnected, s.FeedError, s.SnapshotError = c.set.size, c.feedUp, c.linkError(), c.snapshotErr
	changed = s.State != before
	if changed {
		s.Since = now
		c.stateChanged(before)
	}
	_, reason, advice := c.reason()
	s.Reason = reason + "; " + advice
	return changed
}

func (c *Core) log(level Level, text string, args ...any) {
	if c.logs(level) {
		c.lines = append(c.lines, Line{Level: level, Text: text, Args: args})
	}
}

// logs reports whether lines of the level are wanted.
func (c *Core) logs(level Level) bool { return level >= c.cfg.Least }

// openGap notes that the set may be wrong, for a reason of which only a list can tell more, and asks for a reconcile.
func (c *Core) openGap(now time.Time, reason string) {
	c.openHole(now, reason)
	c.listGap = c.gaps
}

// openHole notes that events may have been missed that are newer than all that is known, and asks for a reconcile.
func (c *Core) openHole(now time.Time, reason string) {
	c.gaps++
	c.lastGap = reason
	c.plan.gapOpened(now, c.cfg.ResyncSpread)
}

// tell puts a change into the history and among the news. by is the origin of the tenant before it.
func (c *Core) tell(key string, change tenant.Change, by *origin) {
	c.history.record(key, change, by, c.set.size)
	c.names.forget(key, change.Kind)
	c.news = append(c.news, News{Key: key, Change: change})
}

// tellMerged does that with what a list has changed, and returns it.
func (c *Core) tellMerged(m *merging, cause tenant.Cause) (told []News) {
	initial := cause != tenant.CauseReconcile
	var single []News
	if initial || m.removals()+m.additions() >= c.cfg.Many {
		wave, beside := m.many()
		c.history.wave(wave, c.set.size)
		told, single = append(told, News{Initial: initial, Wave: wave}), beside
	} else {
		single = m.few()
	}
	for _, news := range single {
		if news.Initial = initial; !initial {
			_, by, _ := m.set.find(news.Key)
			c.history.record(news.Key, news.Change, by, c.set.size)
			c.names.forget(news.Key, news.Change.Kind)
		}
		told = append(told, news)
	}
	c.news = append(c.news, told...)
	return told
}

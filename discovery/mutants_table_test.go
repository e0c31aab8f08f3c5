//go:build mutants

package discovery_test

// mutants are the bugs that are planted. Each breaks a rule; some are what teams wrote by hand.
var mutants = []mutant{
	{"live", "Start's ctx ends all", "Start", "discovery.go", "context.WithCancel(context.WithoutCancel(ctx))", "context.WithCancel(ctx)"},
	{"live", "a failed Start leaves its goroutines", "Start", "discovery.go", "	err := r.stop()\n	d.update", "	var err error\n	d.update"},
	{"live", "the bootstrapped set is told without NotifyInitial", "callbacks", "core.go", "case initial && !d.cfg.NotifyInitial:", "case initial && false:"},
	{"core", "reconfiguring an absent tenant is told", "callbacks", "set.go", "v.effect == effectReconfigure && there", "v.effect == effectReconfigure"},
	{"live", "a panic of a callback is not recovered", "callbacks", "callbacks.go", "if p := recover(); p != nil || !returned {", "if p := any(nil); p != nil && !returned {"},
	{"core", "the callbacks hear nothing when what was bootstrapped goes", "callbacks", "core.go", "case initial && !d.cfg.NotifyInitial:", "case !d.cfg.NotifyInitial && (initial || n.change.Kind == tenant.Removed && len(c.history.changes[n.key]) == 2 && c.history.changes[n.key][0].Cause == tenant.CauseBootstrap):"},
	{"core", "off and on is folded to on", "folding", "mailbox.go", "return []tenant.Change{last, change}", "return []tenant.Change{change}"},
	{"core", "on and off is folded to off", "folding", "mailbox.go", "return pending[:len(pending)-1]", "return []tenant.Change{change}"},
	{"core", "added and reconfigured is folded to reconfigured", "folding", "mailbox.go", "	case last.Kind == tenant.Added && change.Kind == tenant.Reconfigured:\n		return pending\n", ""},
	{"core", "a new watcher does not get the set", "order", "changes.go", "		box.put(e.key, c.history.added(e))\n", "		_ = e\n"},
	{"core", "a watcher hears nothing of snapshots", "order", "reconcile.go", "	d.publish(changes, nil)\n", ""},
	{"live", "a Refresh joins a request that is older", "Refresh", "reconcile.go", "	if ans.err == nil {\n		c.status.Counters.Reconciles++\n", "	if ans.err == nil {\n		for _, w := range c.waiting {\n			w <- nil\n		}\n		c.waiting = nil\n		c.status.Counters.Reconciles++\n"},
	{"live", "a callback after Close", "Close", "callbacks.go", "	if ctx.Err() != nil {\n		return\n	}\n	ended :=", "	ended :="},
	{"live", "Close waits for ever for a callback", "Close", "discovery.go", "	grace := time.NewTimer(closeGrace)\n	defer grace.Stop()\n	select {\n	case <-r.ended:", "	grace := time.NewTimer(time.Hour)\n	defer grace.Stop()\n	select {\n	case <-r.ended:"},
	{"core", "of what a snapshot removes one is left out", "reconcile", "set.go", "	added, removed := difference(set, snapshot)\n", "	added, removed := difference(set, snapshot)\n	if len(removed) > 0 && len(added) == 0 {\n		removed = removed[1:]\n	}\n"},

	{"core", "what arrives during the snapshot is dropped", "4.1", "reconcile.go", "	doubtful = c.memory.override(&ans.rows, ans.version, req.tick)\n", ""},
	{"core", "only what changes the set is journalled", "4.1", "events.go", "	case fresh:\n		c.memory.record(*v, c.set.size)\n", "	case fresh:\n		if _, in := c.set.lookup(v.key); in != (v.effect == effectAdd) {\n			c.memory.record(*v, c.set.size)\n		}\n"},
	{"core", "no reconcile after re-subscription", "4.2", "events.go", "		d.openGap(now, \"subscribed, and what was published before may have been missed\")\n", ""},
	{"core", "a gap is closed by an older request", "4.2", "reconcile.go", "	c.closed = req.gap\n", "	c.closed = c.gaps\n"},
	{"core", "a malformed event is no gap", "4.2", "events.go", "	d.openGap(now, \"an event that could not be used\")\n", ""},
	{"core", "an unknown event is no gap", "4.2", "events.go", "		d.openGap(now, \"an event of a type that is not known\")\n", ""},
	{"core", "tenant.activated of an absent tenant is no gap", "4.2", "events.go", "if v.effect == effectRecheck && !there {", "if v.effect == effectRecheck && there {"},
	{"core", "a feed's gap is none", "4.2", "events.go", "		d.openGap(now, text(sig.Err, \"the feed missed events\"))\n", ""},
	{"core", "a heartbeat ahead is no gap", "4.2", "memory.go", "(v.Epoch != m.now.epoch || v.Revision > m.now.prefix)", "(v.Epoch != m.now.epoch || false)"},
	{"live", "a failure is followed by no back-off", "4.2", "schedule.go", "	s.failures++\n", "	s.failures = 0\n"},
	{"core", "a failure is not retried", "4.2", "reconcile.go", "	c.plan.failed(now, ans.err, d.cfg.ResyncSpread)\n	c.note", "	c.plan.succeeded(now, d.interval())\n	c.note"},
	{"live", "no least time between two requests", "4.2", "schedule.go", "	return later(due, s.lastBegin.Add(s.spread))\n", "	return due.Add(-s.spread)\n"},
	{"live", "Retry-After is not heeded", "4.2", "schedule.go", "if asked := retryDelay(err); asked > 0 {", "if asked := retryDelay(err); asked < 0 {"},
	{"live", "a refused key is no reason to wait longer", "4.2", "schedule.go", "	if denied(err) {\n", "	if false {\n"},
	{"live", "no reconcile from time to time", "4.3", "schedule.go", "	s.periodic = now.Add(s.dice.about(interval))\n", "	s.periodic = now.Add(100 * interval)\n"},
	{"live", "a failed dial sets the deadline anew", "4.3", "events.go", "	if c.feedUp && c.phase == phaseStarted {\n		c.plan.feedLost(now, d.cfg.PollInterval)\n", "	if c.phase == phaseStarted {\n		c.plan.periodic = now.Add(d.cfg.PollInterval)\n"},
	{"live", "the deadline stays when the feed goes down", "4.3", "events.go", "		c.plan.feedLost(now, d.cfg.PollInterval)\n", ""},

	{"core", "a stale revision is applied", "4.4", "memory.go", "		if v.version.Revision <= known.revision {\n			return old\n		}\n", ""},
	{"core", "what is at or below the prefix is applied", "4.4", "memory.go", "v.version.Revision <= m.now.prefix {\n		return old", "false {\n		return old"},
	{"core", "a hole in the revisions is no gap", "4.4", "memory.go", "	return revision > r.prefix && !follows\n", "	return revision > r.prefix && !follows && false\n"},
	{"core", "an older snapshot is taken", "4.4", "memory.go", "v.Epoch == epoch && v.Revision < heard {", "false {"},
	{"core", "a removed tenant leaves no tombstone", "4.4", "memory.go", "	if !v.membership() && !dateOnly {\n", "	if v.effect != effectAdd && !dateOnly {\n"},
	{"core", "marks are never forgotten", "4.4", "memory.go", "			delete(m.marks, key)\n		}\n	}\n	newEpoch", "			_ = key\n		}\n	}\n	newEpoch"},
	{"core", "marks are forgotten too early", "4.4", "memory.go", "	for key, known := range m.marks {\n		if !known.wins(v, began) {\n			// Of", "	for key, known := range m.marks {\n		if true {\n			// Of"},
	{"core", "marks win by when they came, not by revision", "4.4", "memory.go", "	if k.epoch == \"\" || v.Epoch == \"\" {", "	if true {"},
	{"core", "an event of another epoch is applied", "4.4", "memory.go", "		return foreign\n", "		return fresh\n"},
	{"core", "an event of another epoch is no gap", "4.4", "events.go", "		d.openGap(now, \"an event of another epoch: \"+v.version.String())\n", ""},
	{"core", "a new epoch is not accepted", "4.4", "reconcile.go", "	err := check(v, req.known.Epoch, req.heard)\n", "	err := check(v, v.Epoch, req.heard)\n"},
	{"core", "a new epoch's snapshot counts as complete", "4.4", "memory.go", "			whole = whole && (!m.now.lost || m.now.newest() <= v.Revision)\n", ""},
	{"core", "an epoch that was left is taken again", "4.4", "reconcile.go", "	past := c.memory.past(v.Epoch)\n", "	past := false\n"},
	{"core", "with plain lists tenant.activated is not remembered", "4.4", "memory.go", "(!v.versioned() || m.now.epoch == \"\")", "!v.versioned()"},
	{"core", "timestamps are not compared", "4.4", "memory.go", "	case v.membership() && !v.at.IsZero() && v.at.Before(known.at):", "	case false:"},
	{"core", "a late event asks for nothing", "4.4", "events.go", "		d.openGap(now, \"an event that is older than what is known of its tenant\")\n", ""},
	{"core", "duplicates are not known again", "4.4", "memory.go", "	if m.ids.seen(v) {", "	if false {"},
	{"core", "a set that has changed is asked for by its old ETag", "4.4", "events.go", "			c.have = tenant.Version{}\n", ""},
	{"core", "a 304 is taken for a list", "4.4", "reconcile.go", "	if ans.unchanged {\n		c.status.Counters.SnapshotsUnchanged++\n	} else {\n		held", "	{\n		held"},

	{"core", "no guard", "4.5", "reconcile.go", "		return !held && removals", "		return false && !held && removals"},
	{"core", "a guard without an exit", "4.5", "reconcile.go", "		return !held && removals", "		return (!held || true) && removals"},
	{"core", "a guard that never looks again", "4.5", "reconcile.go", "	c.plan.guard = now.Add(d.cfg.RemovalGuard.Delay)\n", ""},

	{"live", "rows without a valid id are taken", "4.7", "set.go", "!tenant.ValidID(row.ID) || ", ""},
	{"live", "suspended rows are taken", "4.7", "set.go", " || row.Status != \"\" && !strings.EqualFold(row.Status, \"active\")", ""},
	{"live", "a body that was cut short is taken", "4.7", "fetch.go", "		return ans.checked()\n	}\n	list, err :=", "		if len(ans.rows.ids) > 0 {\n			ans.err = nil\n		}\n		return ans\n	}\n	list, err :="},

	{"live", "a damaged file is used", "4.8", "snapshotfile.go", "hex.EncodeToString(sum[:]) != string(want) {", "false && hex.EncodeToString(sum[:]) != string(want) {"},
	{"live", "a set from the file is not stale", "4.8", "snapshotfile.go", "	c.set, c.fromFile = set, true\n", "	c.set, c.snapshotErr = set, nil\n	failure = nil\n"},
	{"live", "the file is never written", "4.8", "snapshotfile.go", "		if now == last {\n			continue", "		if now == last || true {\n			continue"},
	{"core", "Live while a gap is open", "4.9", "core.go", "	case c.gaps == c.closed:\n", "	case c.gaps >= c.closed:\n"},
	{"live", "never Stale", "4.9", "core.go", "	case c.fromFile, !c.feedUp && c.snapshotErr != nil:\n", "	case c.fromFile:\n"},
	{"core", "Explain forgets that a tenant left", "4.9", "history.go", "	h.changes[key] = append(before, change)\n", "	if change.Kind != tenant.Removed {\n		h.changes[key] = append(before, change)\n	}\n"},
}

// namedMutants break what the simulation does not reach: the link, whose feed is played there, and what it has one form
// of. A test that is named catches each; its schedule is that of the test.
var namedMutants = []namedMutant{
	{"a silent link is not noticed", "4.6", "../redisevents", "session.go", "	s.silence.Reset(s.feed.cfg().silenceLimit())\n", "	s.silence.Reset(time.Hour)\n", "TestSilenceLimitToTheMoment"},
	{"missing heartbeats are not noticed", "4.6", "../redisevents", "session.go", "func() { link.end(ErrNoHeartbeat) }", "func() { _ = link }", "TestD03WithoutHeartbeatsTheLinkIsLost"},
	{"a list that nobody can read is taken for an empty one", "4.7", ".", "fetch.go", "		ans.err = ans.rows.readable()\n", "", "TestX02AListThatNobodyCanRead"},
	{"an inbox that overflows is no gap", "4.2", ".", "events.go", "	d.openGap(now, \"events arrived faster than they could be applied\")\n", "", "TestOverflow"},
	{"an id is handed out as the event spells it", "ids", ".", "set.go", "		change.TenantID = known.id\n", "		_ = known.id\n", "TestSpellingIsKept"},
	{"HandleEvent does not wait for the callbacks", "HandleEvent", ".", "events.go", "	case wait.told == nil || ctx", "	case wait.told == nil || true || ctx", "TestHandleEventWaitsForItsCallbacks"},
}

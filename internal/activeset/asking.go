package activeset

import (
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// listAtLeast is for how many ResyncIntervals changes may be asked for in place of the list: they repair nothing that was forged and that
// a digest does not show. The next request comes within a fifth more than an interval, so that the list is read in each ten.
const listAtLeast = 8

// Changes begins what answers the request.
func (r Request) Changes() *Changes {
	return &Changes{have: r.Have, since: r.Since, before: r.before, is: r.before, mine: new(draft), revision: r.Since.Revision}
}

// Prepare works out what an answer changes of the set, before anybody has to wait for that: it takes some tenths of a second for a
// list of a million tenants.
func (cfg Config) Prepare(ans *Answer, set Set, digests *Digests) {
	ch := ans.Changes
	switch {
	case ans.Err != nil, ans.NotModified, ans.Refused != NotRefused:
		return
	case ch == nil:
		ans.Rows.Seal()
		ans.Difference = compare(set, ans.Rows.set, cfg.Slack)
		if ans.Difference.much {
			*digests = Digests{} // whose base is replaced
		}
		return
	}
	if ch.err = ch.check(digests); ch.err != nil {
		ans.Refused = ChangesUseless
		return
	}
	ans.Rows.set, ans.Version = ch.is, ch.to.Version
	ans.Difference = ch.difference(cfg.Slack)
	if len(ch.touched) == 0 {
		ans.ETag = ch.have.ETag // nothing has changed in the list that had it
	}
}

// asksChanges reports whether to ask for changes, and not for the list.
func (c *Core) asksChanges(now time.Time) bool {
	epoch := c.memory.epoch
	return c.cfg.Changes && c.phase == phaseStarted && epoch != "" && epoch != c.unlisted &&
		!c.whole && !c.held && c.listGap <= c.closed && now.Sub(c.listedAt)/listAtLeast < c.cfg.ResyncInterval
}

// withoutChanges takes in that there are none. The list is asked for at once.
func (c *Core) withoutChanges(now time.Time, ans Answer) error {
	switch ans.Refused {
	case NoChanges:
		c.unlisted = c.memory.epoch
	case ChangesUseless:
		c.log(Warn, "what the manager says has changed does not lead from the set to its list, which is read as a whole", "error", ans.Changes.err)
		c.openGap(now, "what has changed does not lead to the manager's list")
	default:
	}
	c.whole = true
	c.plan.succeeded(now, c.interval())
	c.Want()
	return ErrAskWhole
}

// tellReconfigured tells of the reconfigurations that the feed has missed.
func (c *Core) tellReconfigured(now time.Time, ch *Changes) {
	heard := c.memory.world(c.memory.epoch)
	for i := range ch.reconfigured {
		v := &ch.reconfigured[i]
		id, by, there := c.set.find(v.key)
		if !there || v.version.Revision <= heard.prefix || heard.heardOf(v.version.Revision) || c.memory.ids.seen(v) {
			continue
		}
		change := tenant.Change{Kind: tenant.Reconfigured, TenantID: id, Cause: tenant.CauseReconcile, EventType: v.eventType, At: now}
		c.tell(v.key, change, by)
	}
}

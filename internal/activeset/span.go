package activeset

import "github.com/tenantwatch/tenantwatch/tenant"

// span is what the feed has promised with its subscription: that nothing after the version will be missing. The zero span
// promises nothing.
type span struct {
	from tenant.Version
	// filtered is a feed that leaves out what does not concern the service, so that revisions jump. upTo is how far it has come.
	filtered bool
	upTo     uint64
	// broken is a filtered feed that has missed something: it promises again from what comes next, as one does that goes on in another
	// epoch.
	broken bool
}

// spans takes in the promise of a subscription. It reports whether the set is at least as far as where that begins, so that
// nothing can have been missed.
func (c *Core) spans(sig tenant.Signal) bool {
	c.span = span{from: sig.Version, filtered: sig.Filtered, upTo: sig.Version.Revision, broken: sig.Version.Epoch == ""}
	behind := c.memory.behind(sig.Version) // which remembers it for a list that is older
	return sig.Version.Epoch != "" && sig.Version.Epoch == c.memory.known().Epoch && !behind
}

// reached takes in that the feed has brought all up to the version that concerns the service.
func (c *Core) reached(v tenant.Version) {
	s := &c.span
	switch {
	case !s.filtered || v.Epoch == "":
		return
	case s.broken || v.Epoch != s.from.Epoch:
		*s = span{from: v, filtered: true}
	}
	s.upTo = max(s.upTo, v.Revision)
	c.memory.bridge(*s)
}

// reachedBefore is reached for an event that comes now: all before it has come.
func (c *Core) reachedBefore(v *verdict) {
	if v.outcome != outcomeOtherEnvironment && v.outcome != outcomeBad && v.version.Revision > 0 {
		c.reached(tenant.Version{Epoch: v.version.Epoch, Revision: v.version.Revision - 1})
	}
}

// missed takes in that the feed did not deliver all that it has promised.
func (c *Core) missed() {
	c.losses++
	c.span.broken = true
}

// bridge raises the prefix over what a filtered feed has left out, where nothing before that is missing.
func (m *memory) bridge(s span) {
	if w := m.world(m.epoch); s.filtered && m.epoch == s.from.Epoch && w.prefix >= s.from.Revision {
		w.raise(s.upTo)
	}
}

package activeset

import (
	"fmt"
	"strings"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Changes are the events that lead on from the set of a [Request]: what the manager sends in place of its list.
type Changes struct {
	have         tenant.Snapshot
	since        tenant.Version
	before, is   Set
	mine         *draft
	touched      []string  // tenants of which an event said whether they are active, as they were spelled
	reconfigured []verdict // that were, as far as the events say
	named        []verdict // of which an event says the name
	revision     uint64    // of the last event
	to           tenant.Changes
	err          error // why they are of no use
}

// Refusal is why the manager has sent no changes, or why those that it has sent are of no use.
type Refusal uint8

// The refusals.
const (
	NotRefused     Refusal = iota
	ChangesGone            // it does not keep what was asked for
	NoChanges              // it cannot send any
	ChangesUseless         // an event cannot be used, or they do not lead to the manager's list
)

// Add takes the next event.
func (ch *Changes) Add(evt Judged) {
	v := &evt.verdict
	switch {
	case ch.err != nil:
		return
	case v.outcome == outcomeBad:
		ch.err = v.err
	case v.outcome == outcomeUnknown:
		ch.err = fmt.Errorf("an event of type %q, which is not known", cut(string(v.eventType), longestName))
	case v.version.Epoch != ch.since.Epoch || v.version.Revision <= ch.revision:
		ch.err = fmt.Errorf("an event of %s came after %s", v.version, tenant.Version{Epoch: ch.since.Epoch, Revision: ch.revision})
	default:
		ch.revision = v.version.Revision
		ch.apply(v)
		if v.tenantName != "" {
			ch.named = append(ch.named, *v)
		}
	}
}

// Fail notes that an event cannot be read.
func (ch *Changes) Fail(err error) {
	if ch.err == nil {
		ch.err = err
	}
}

func (ch *Changes) apply(v *verdict) {
	there := v.outcome == outcomeApplied && ch.is.Has(v.key)
	switch {
	case v.outcome != outcomeApplied:
	case v.effect == effectReconfigure:
		ch.reconfigured = append(ch.reconfigured, *v)
	case v.effect == effectAdd && !there:
		id := strings.Clone(v.id)
		ch.is = ch.is.withIn(ch.mine, id, nil)
		ch.touched = append(ch.touched, id)
	case v.effect == effectRemove && there:
		ch.is = ch.is.withoutIn(ch.mine, v.id)
		ch.touched = append(ch.touched, strings.Clone(v.id))
	}
}

// End takes what the events are to lead to.
func (ch *Changes) End(to tenant.Changes) { ch.to = to }

// check says why the changes are of no use, if they are of none.
func (ch *Changes) check(digests *Digests) error {
	switch to := ch.to; {
	case ch.err != nil:
		return ch.err
	case to.Version.Epoch != ch.since.Epoch || to.Version.Revision < ch.revision:
		return fmt.Errorf("they are said to lead to %s, and come to %s", to.Version, tenant.Version{Epoch: ch.since.Epoch, Revision: ch.revision})
	case to.Count != ch.is.Len():
		return fmt.Errorf("they lead to %d tenants, and the manager has %d", ch.is.Len(), to.Count)
	default:
		if digest := digests.of(ch.is); digest != to.Digest {
			return fmt.Errorf("they lead to a set of digest %016x, and that of the manager has %016x", digest, to.Digest)
		}
		return nil
	}
}

// difference is what they change.
func (ch *Changes) difference(slack int) *Difference {
	var added, removed []string
	seen := make(map[string]struct{}, len(ch.touched))
	for _, id := range ch.touched {
		key := tenant.CanonicalID(id)
		if _, twice := seen[key]; twice {
			continue
		}
		seen[key] = struct{}{}
		was, had := ch.before.Lookup(id)
		is, has := ch.is.Lookup(id)
		switch {
		case has && !had:
			added = append(added, is)
		case had && !has:
			removed = append(removed, was)
		}
	}
	return newDifference(ch.before, ch.is, added, removed, slack)
}

// Digests remembers the digest of a base, which takes as long to work out as the base to build. The zero Digests remembers none.
type Digests struct {
	base *base
	sum  uint64
}

// of is the digest of the set.
func (d *Digests) of(s Set) uint64 {
	if d.base != s.base {
		*d = Digests{base: s.base}
		for _, id := range s.base.all() {
			d.sum ^= tenant.IDDigest(id)
		}
	}
	sum := d.sum
	s.hidden.differing(nil, func(place int) { sum ^= tenant.IDDigest(s.base.ids[place]) })
	s.added.walk(func(e *entry) bool { sum ^= tenant.IDDigest(e.id); return true })
	return sum
}

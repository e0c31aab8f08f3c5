package activeset

import (
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// names are those of the tenants, where they are kept. A list brings all of them, and an event may bring one.
type names struct {
	of    map[string]string // by canonical id; nil where none are kept
	heard map[string]named  // by events that no list has covered yet, at most memorySlack
}

// named is a name that an event has brought.
type named struct {
	name  string
	epoch string
	said  word
	at    time.Time
}

// newerThan reports whether the name was said after the event: by the revision, and without one by the timestamp.
func (n named) newerThan(v *verdict) bool {
	if v.versioned() && n.epoch == v.epoch() {
		return n.said.revision > v.revision()
	}
	return !v.at.IsZero() && v.at.Before(n.at)
}

// hear takes the name that a fresh event has brought. Of a tenant that is not in the set it is kept for the list that brings the tenant.
func (n *names) hear(v *verdict, tick uint64, there bool) {
	name := strings.Clone(v.tenantName)
	before := n.heard[v.key]
	late := before.newerThan(v)
	if late {
		name = before.name
	}
	if there {
		n.of[strings.Clone(v.key)] = name
	}
	if late {
		return
	}
	if _, known := n.heard[v.key]; known || len(n.heard) < memorySlack {
		if n.heard == nil {
			n.heard = make(map[string]named)
		}
		n.heard[strings.Clone(v.key)] = named{name: name, epoch: strings.Clone(v.epoch()), said: word{revision: v.revision(), tick: tick}, at: v.at}
	}
}

// listed takes the names of a list, or those of what has changed, for the tenants of the set. What events have brought that is newer stays.
func (n *names) listed(list map[string]string, changed []verdict, in Set, v tenant.Version, began uint64) {
	if list != nil {
		n.of = list
	}
	for i := range changed {
		if key := changed[i].key; in.Has(key) {
			n.of[strings.Clone(key)] = strings.Clone(changed[i].tenantName)
		}
	}
	for key, h := range n.heard {
		switch newer := h.said.newer(h.epoch, v, began); {
		case !newer:
			delete(n.heard, key)
		case in.Has(key):
			n.of[key] = h.name
		}
	}
}

// forget forgets the name of a tenant that has left the set.
func (n *names) forget(key string, kind tenant.Kind) {
	if kind == tenant.Removed {
		delete(n.of, key)
	}
}

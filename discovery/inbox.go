package discovery

import (
	"sync"

	"github.com/tenantwatch/tenantwatch/internal/activeset"
	"github.com/tenantwatch/tenantwatch/tenant"
)

// The most that waits to be applied, or is being applied: signals, and bytes in them. Applying takes microseconds, so that only
// a flood gets there, or a Logger that blocks.
const (
	inboxSignals = 1 << 16
	inboxBytes   = 128 << 20
	// inboxLinks is how many confirmations and losses of the subscription wait; of further ones only the newest is kept.
	inboxLinks = 256
	// spareSignals is the largest buffer that is kept for the signals to come.
	spareSignals = 1 << 13
	// signalOverhead is about what a signal takes besides its texts.
	signalOverhead = 512
)

// inbox stands between the feed, which must never wait, and the applying of what it delivers.
type inbox struct {
	wake chan struct{} // of size one: there may be something to drain

	mu      sync.Mutex // guards the fields below
	signals []tenant.Signal
	bytes   int
	links   int
	newest  *tenant.Signal // of the subscription, where there were too many of them
	dropped uint64
	taken   struct{ signals, bytes int } // drained, and not applied yet
	spare   []tenant.Signal              // to be filled next
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// put takes a signal. When the inbox is full it only counts it, which makes a gap, and counts all that come after it until it is
// drained: what follows a gap may not be taken in before that is known. The news that the subscription was made or lost is the
// exception: the newest of that is always taken.
func (b *inbox) put(sig *tenant.Signal) {
	b.mu.Lock()
	b.add(sig)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // the one who drains knows already
	}
}

// add is put, with mu held.
func (b *inbox) add(sig *tenant.Signal) {
	size := sizeOf(sig)
	full := b.dropped > 0 || len(b.signals)+b.taken.signals >= inboxSignals || b.bytes+b.taken.bytes+size > inboxBytes
	link := sig.Kind == tenant.SignalSubscribed || sig.Kind == tenant.SignalLost
	switch {
	case link && b.links >= inboxLinks:
		newest := *sig
		b.newest = &newest
		b.dropped++
		return
	case link:
		b.links++
	case full:
		b.dropped++
		return
	}
	b.signals = append(b.signals, *sig)
	b.bytes += size
}

// sizeOf is about what a signal takes.
func sizeOf(sig *tenant.Signal) int {
	evt := &sig.Event
	return signalOverhead + cap(evt.Payload) + len(evt.EventID) + len(evt.EventType) + len(evt.TenantID) + len(evt.TenantSlug) +
		len(evt.TenantName) + len(evt.Environment) + len(evt.Epoch) + len(sig.Version.Epoch) +
		len(activeset.Known(sig.Err).Text)
}

// drain empties the inbox. dropped is how many signals it could not take since the last time. What was drained counts until
// applied is called.
func (b *inbox) drain() (signals []tenant.Signal, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.newest != nil {
		b.signals = append(b.signals, *b.newest)
	}
	signals, dropped = b.signals, b.dropped
	b.taken.signals, b.taken.bytes = len(signals), b.bytes
	b.signals, b.bytes, b.links, b.newest, b.dropped = b.spare, 0, 0, nil, 0
	b.spare = nil
	return signals, dropped
}

// applied makes room for what was drained, of which nothing is kept.
func (b *inbox) applied(signals []tenant.Signal) {
	clear(signals)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken.signals, b.taken.bytes = 0, 0
	if cap(signals) <= spareSignals {
		b.spare = signals[:0]
	}
}

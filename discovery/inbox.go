package discovery

import (
	"sync"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// The most that waits to be applied: signals, and bytes in them. Applying takes microseconds, so that only a
// flood gets there.
const (
	inboxSignals = 1 << 16
	inboxBytes   = 128 << 20
)

// inbox stands between the feed, which must never wait, and the applying of what it delivers.
type inbox struct {
	wake chan struct{} // of size one: there may be something to drain

	mu      sync.Mutex // guards the fields below
	signals []tenant.Signal
	bytes   int
	dropped uint64
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// put takes a signal. When the inbox is full it only counts it, which makes a gap, except for the news that the
// subscription was made or lost: that is always taken.
func (b *inbox) put(sig tenant.Signal) {
	b.mu.Lock()
	size := sizeOf(sig.Event)
	link := sig.Kind == tenant.SignalSubscribed || sig.Kind == tenant.SignalLost
	if !link && (len(b.signals) >= inboxSignals || b.bytes+size > inboxBytes) {
		b.dropped++
	} else {
		b.signals = append(b.signals, sig)
		b.bytes += size
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default: // the one who drains knows already
	}
}

// sizeOf is about what an event takes.
func sizeOf(evt tenant.Event) int {
	const overhead = 256
	return overhead + len(evt.Payload) + len(evt.EventID) + len(evt.EventType) + len(evt.TenantID) + len(evt.TenantSlug) +
		len(evt.Environment) + len(evt.Epoch)
}

// drain empties the inbox. dropped is how many signals it could not take since the last time.
func (b *inbox) drain() (signals []tenant.Signal, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	signals, dropped = b.signals, b.dropped
	b.signals, b.bytes, b.dropped = nil, 0, 0
	return signals, dropped
}

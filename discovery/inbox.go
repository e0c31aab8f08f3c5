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
	// spareBatches is how many batches are kept for the signals to come.
	spareBatches = 8
	// signalOverhead is about what a signal takes besides its texts.
	signalOverhead = 512
)

// inbox stands between the feed, which must never wait, and the applying of what it delivers.
type inbox struct {
	wake chan struct{} // of size one: there may be something to drain

	mu      sync.Mutex        // guards the fields below
	batches [][]tenant.Signal // at most applyAtOnce in each, and less only in the last
	count   int               // of signals in them
	bytes   int
	links   int
	newest  *tenant.Signal // of the subscription, where there were too many of them
	dropped uint64
	taken   struct{ signals, bytes int } // drained, and not applied yet
	spare   [][]tenant.Signal            // to be filled next
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
	full := b.dropped > 0 || b.count+b.taken.signals >= inboxSignals || b.bytes+b.taken.bytes+size > inboxBytes
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
	last := b.last()
	*last = append(*last, *sig)
	b.count++
	b.bytes += size
}

// last returns the batch that is being filled. The first one grows, so that few signals take little.
func (b *inbox) last() *[]tenant.Signal {
	if n := len(b.batches); n > 0 && len(b.batches[n-1]) < applyAtOnce {
		return &b.batches[n-1]
	}
	var batch []tenant.Signal
	switch n := len(b.spare); {
	case n > 0:
		batch, b.spare = b.spare[n-1], b.spare[:n-1]
	case len(b.batches) > 0:
		batch = make([]tenant.Signal, 0, applyAtOnce)
	}
	b.batches = append(b.batches, batch)
	return &b.batches[len(b.batches)-1]
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
func (b *inbox) drain() (batches [][]tenant.Signal, dropped uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.newest != nil {
		last := b.last()
		*last = append(*last, *b.newest)
		b.count++
	}
	batches, dropped = b.batches, b.dropped
	b.taken.signals, b.taken.bytes = b.count, b.bytes
	b.batches, b.count, b.bytes, b.links, b.newest, b.dropped = nil, 0, 0, 0, nil, 0
	return batches, dropped
}

// applied makes room for what was drained, of which nothing is kept.
func (b *inbox) applied(batches [][]tenant.Signal) {
	for _, batch := range batches {
		clear(batch)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken.signals, b.taken.bytes = 0, 0
	for _, batch := range batches[:min(len(batches), spareBatches-len(b.spare))] {
		b.spare = append(b.spare, batch[:0])
	}
}

package redisevents

import (
	"context"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Stream is the [tenant.Feed] over a Redis Stream, for servers from Redis 5 on. A stream keeps its newest entries, so
// that Run can continue after a broken link where it stopped.
type Stream struct {
	source

	key   string
	beats string // the channel of heartbeats
}

var _ tenant.Feed = (*Stream)(nil)

// NewStream returns a feed of the stream of one environment. With an empty environment it reads the stream of the
// events that name no environment; there is no stream of all events. It does not connect before Run. The errors are
// those of [NewPubSub].
func NewStream(cfg Config, environment string) (*Stream, error) {
	from, environment, err := newSource(cfg, environment)
	if err != nil {
		return nil, err
	}
	return &Stream{source: from, key: StreamKey(environment), beats: HeartbeatChannelName(environment)}, nil
}

// Run reads and delivers until ctx ends. It then returns the error of ctx almost at once, whatever the connection is
// doing. When it connects for the first time, it begins after the newest entry of the stream. After a broken link it
// continues after the last entry that it delivered, so that each entry is delivered once. Run gives the sink:
//
//   - SignalSubscribed for every connection on which Redis has answered a read, even when nothing was lost. Every
//     [tenant.Feed] reports each subscription, and one more reading of the list does no harm;
//   - SignalEvent or SignalBadEvent for every entry;
//   - SignalGap, with the reason, when entries may be gone that Run has not read;
//   - SignalHeartbeat for every heartbeat, 250 ms after it arrived, because the entries of its version arrive by
//     another connection;
//   - SignalLost for every attempt that failed and for every connection that broke, with the reason: [ErrSilent],
//     [ErrRefused], [ErrProtocol] or an error of the network.
//
// Redis trims a stream from its oldest entry on. So nothing is missing as long as the entry that was read last is still
// there. Run checks that with every read and, while nothing arrives, three times in Config.SilenceLimit. When the entry
// is gone, Run reports a gap, even when the stream was in fact trimmed exactly up to that entry. Then:
//
//   - when the stream has newer entries, Run continues with the oldest of these;
//   - when the stream is empty or does not exist, Run continues with the next entry, whatever its id is;
//   - when the stream ends before that entry, it is another stream or an older copy of the same one. Run cannot tell
//     its entries from those that it read before, so it continues after the newest entry.
//
// When a server was a master and has become a replica, Run closes the connection, because the address may lead to the
// new master by now. A server that was a replica from the start is read.
//
// As long as Run has not seen any entry, it cannot check this. If more entries then arrive at once than one read
// returns, Run reports a gap too. If one stream is replaced by another that has an entry with the same id, Run does not
// notice.
//
// When the manager cannot add to the stream, because Redis is full or the ACL forbids it, the stream looks as if
// nothing had happened. So Run also listens to the manager's heartbeats, on a separate connection. They show a reader
// that it is behind. Run does not require heartbeats, and does not listen to them when Config.NoHeartbeats is set. When
// Redis does not allow the channel of the heartbeats, entries arrive all the same: one SignalSubscribed has the refusal
// as Err, and this Run does not ask for the channel again.
//
// Between attempts Run waits as [PubSub.Run] does. Several calls of Run at the same time do not disturb each other.
func (s *Stream) Run(ctx context.Context, sink func(tenant.Signal)) error {
	r := &streamRun{feed: s, at: cursor{batch: maxBatch}, turns: make(chan turn), lacks: make(chan error, 1)}
	return r.run(ctx, sink)
}

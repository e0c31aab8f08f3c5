package redisevents

import (
	"context"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// Stream is the [tenant.Feed] over a Redis Stream, for servers from Redis 5 on. A stream keeps its newest entries, so
// that a Run goes on after a broken link where it was.
type Stream struct {
	source

	key   string
	beats string // the channel of heartbeats
}

var _ tenant.Feed = (*Stream)(nil)

// NewStream returns a feed of the stream of one environment or, with an empty environment, of the stream for events that
// name none; there is no stream of all events. It connects to nothing before Run. The error is that of [NewPubSub].
func NewStream(cfg Config, environment string) (*Stream, error) {
	from, environment, err := newSource(cfg, environment)
	if err != nil {
		return nil, err
	}
	return &Stream{source: from, key: StreamKey(environment), beats: HeartbeatChannelName(environment)}, nil
}

// Run reads and delivers until ctx ends, and returns ctx's error within moments of that, whatever the connection is
// doing. It begins behind the newest entry that there is when it connects for the first time. After a broken link it
// goes on behind the last entry that it has delivered, so that each entry is delivered once. It tells the sink:
//
//   - SignalSubscribed for every connection on which Redis has answered a read, even when it goes on without a loss:
//     a [tenant.Feed] says so of each, and a list that is read once more does no harm;
//   - SignalEvent or SignalBadEvent for every entry;
//   - SignalGap when entries may be gone that were not read, with the reason;
//   - SignalHeartbeat for every heartbeat, 250 ms after it was heard, because the entry that made its version comes by
//     another connection;
//   - SignalLost for every attempt that failed and for every connection that broke, with the reason: [ErrSilent],
//     [ErrRefused], [ErrProtocol] or what the network said.
//
// The proof that nothing is missing is that the entry which was read last is still there, since a stream is trimmed from
// its oldest entry on. It is looked at with every read and, while nothing comes, three times in Config.SilenceLimit.
// When it is gone there may be a gap, also if in truth the stream was trimmed up to that entry and no further. Then:
//
//   - when the stream has newer entries, it goes on with the oldest of these;
//   - when there is no stream or an empty one, it goes on with whatever comes, and whatever its id is;
//   - when the stream ends before that entry it is another one, or an older copy of the same. What is in it cannot be
//     told from what was read before, so it goes on behind the newest entry.
//
// A server that was a master and has become a replica is left, since its address may lead to the new master by now; one that
// was a replica from the start is read.
//
// Nothing proves that while there is no entry yet to stand on. If more comes then at once than one read takes, that is
// told as a gap too. Two streams that have an entry of the same id are not told apart.
//
// A stream to which the manager cannot add (Redis is full, or the ACL forbids it) looks like one to which it has nothing to
// add. So Run listens to the manager's heartbeats on a connection of its own, by which a reader sees that it is behind. None
// is expected, and none comes where Config.NoHeartbeats is set. A user that may not hear them gets the entries all the same:
// one SignalSubscribed has the refusal as Err, and that Run does not ask for them again.
//
// It waits between attempts as [PubSub.Run] does. Several calls at once do not disturb each other.
func (s *Stream) Run(ctx context.Context, sink func(tenant.Signal)) error {
	r := &streamRun{feed: s, at: cursor{batch: maxBatch}, turns: make(chan turn), lacks: make(chan error, 1)}
	return r.run(ctx, sink)
}

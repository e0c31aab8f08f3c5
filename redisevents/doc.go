// Package redisevents carries lifecycle events over Redis. [PubSub] and [Stream] are the two kinds of [tenant.Feed] that
// listen, [Publisher] is the other end of both. It is the one place that knows how channels and streams are called.
//
// # What arrives, and in which order
//
// Events of one channel, and of one stream, arrive in the order in which Redis took them. In a Cluster that is so for each
// node to which they are published; and who has lost one node and gone to another may hear from it once more what was late
// on its way there.
//
// Pub/Sub keeps nothing: what was published while nobody was connected is lost, which is why a feed tells of every
// confirmed subscription, the first one and all that follow. Whoever needs to be right reads the whole list of tenants
// after each of them.
//
// A stream keeps its newest entries. A Stream feed goes on after a broken link where it was, so that nothing is lost and
// nothing comes twice as long as Redis still has the entry that was read last; it looks whether it has, and tells of a
// gap when it has not. Needed is a publisher that adds to the stream (PublisherConfig.Stream).
//
// # A slow reader
//
// PubSub hands events to its sink as fast as the sink takes them. It reads ahead of the sink, so that a burst finds the
// server's buffer empty, up to 32 MiB. A sink that falls back further makes the server fill its own buffer, and a
// server whose buffer for us is full closes the connection. That is a lost link like any other: the feed tells of it
// and subscribes again.
//
// Stream reads at the pace of its sink, at most 64 entries and 32 MiB at once unless one entry alone is larger, and what it
// has not read waits in the stream. A sink that falls back further than the stream is long has a gap, and is told of it.
//
// # The right server
//
// An address can come to lead to another server while connections stay where they are. A publisher asks with each batch
// (HELLO, which everybody may) whether it talks to a master. What a replica or a Sentinel took counts as not sent, and the
// next attempt is made on a new connection; so it is after every refusal that is not about the event. A Stream leaves a
// master that becomes a replica. A PubSub hears at a replica what the master is told, and knows by the want of heartbeats
// that it does not any more.
//
// # A silent link
//
// A connection can be open and dead. PubSub pings, Stream reads again, three times in Config.SilenceLimit. Both give a
// connection up on which no complete reply and no complete message arrived for that long; single bytes that trickle in do
// not count.
//
// # A link that carries nothing
//
// A server can answer pings and pass nothing on: a replica that lost its master, a node of a Cluster that lost the others.
// A manager may send heartbeats, see [Publisher.Heartbeat]; once PubSub has heard one it gives up a connection on which
// for more than two intervals nothing comes. Stream expects none, but one that it hears and that is ahead of what it read
// shows that the manager cannot add to the stream.
//
// # What the server has to allow
//
// A listener on channels needs SUBSCRIBE, PING and, without an environment, PSUBSCRIBE. A reader of a stream needs XREAD and
// XREVRANGE on its key, SELECT where Config.DB is not 0, and SUBSCRIBE and PING for the heartbeats. A publisher needs PUBLISH, and XADD for a stream. An ACL that
// limits channels has to name [HeartbeatChannelName] or a pattern over it and, literally, [ChannelPattern] for a listener
// without an environment:
//
//	ACL SETUSER listener on >PASSWORD resetchannels &tenant-events:* &tenant-heartbeat:* -@all +subscribe +psubscribe +ping
//	ACL SETUSER reader on >PASSWORD ~tenant-events-stream:* resetchannels &tenant-heartbeat:* -@all +xread +xrevrange +subscribe +ping
//	ACL SETUSER publisher on >PASSWORD resetchannels &tenant-events:* &tenant-heartbeat:* -@all +publish
//	ACL SETUSER publisher ~tenant-events-stream:* +xadd
//
// A listener, or a reader, that may not hear heartbeats gets events all the same. In a Cluster a reader of a stream, and every publisher,
// needs CLUSTER SLOTS as well. The user at Sentinels, for all of them, needs SENTINEL GET-MASTER-ADDR-BY-NAME alone.
//
// # What the driver prints
//
// go-redis has one logger for the whole process, which writes to standard error, and none for a single client. Nothing that
// it prints, such as a connection that was refused, is not told by the feed or returned by the publisher as well. This
// package leaves it alone, because it belongs to all users of go-redis in the process; who wants silence says, once:
//
//	logging.Disable() // of github.com/redis/go-redis/v9/logging
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	link.go, dialer.go, backoff.go  what both feeds have: one session after the other, each on connections of its own, ended by silence
//	tls.go, bounded.go              around a connection: our certificate and who refused what; what a server may announce
//	errors.go                       what a caller can tell apart
//	config.go, hosts.go, url.go     where Redis is; what an address may have, and what is shown of one
//	locate.go                       which server a session connects to: Sentinels are asked, of a Cluster's nodes one is drawn. A publisher with Sentinels uses it too
//	neighbours.go                   the nodes of a Cluster that is known by one address, for when that leads to nobody
//	race.go                         dialling several addresses side by side, of which the first connection is kept
//	pubsub.go, session.go, inbox.go
//	                                Pub/Sub: a session subscribes, pings, and reads ahead of the sink
//	heartbeat.go                    heartbeats, and when the want of them ends a session of Pub/Sub
//	stream.go, streamsession.go     Streams: a session asks for what is behind the cursor and hands it on, at the pace of the sink
//	streambeats.go                  the heartbeats that a reader of a stream hears on a connection of its own, and one goroutine that tells of both
//	cursor.go                       pure: where a reader of a stream is, what an answer means for it, and when there is a gap
//	publisher.go, batch.go, names.go
//	                                the other end: one event, or many at once; and how channels and streams are called
//	client.go                       what the driver is told by both ends
//	role.go                         what a server says that it is: a master, a replica, a Sentinel, one of a Cluster
//	exchange.go, clients.go         one question and answer of the publisher: whether the server was the right one, and what becomes of the connection if not
package redisevents

// Package redisevents reads and publishes lifecycle events over Redis. [PubSub] and [Stream] are the two kinds of
// [tenant.Feed] that read events: one over Redis Pub/Sub, the other from a Redis Stream. [Publisher] publishes to both.
// This package alone defines the names of the channels and streams.
//
// # What arrives, and in which order
//
// Events of one channel, and of one stream, arrive in the order in which Redis accepted them. In a Cluster this holds for
// each node to which they are published. A reader that loses its connection to one node and connects to another may
// receive events again that the new node received late.
//
// Pub/Sub keeps nothing: an event that is published while a reader is not connected is lost for it. That is why a feed
// reports every confirmed subscription, the first one and all later ones. A reader that must not miss anything reads the
// whole list of tenants after each of them.
//
// A stream keeps its newest entries. After a broken link a Stream feed continues after the last entry that it read.
// Nothing is lost and nothing arrives twice as long as Redis still has that entry. The feed checks that, and reports a gap
// when the entry is gone. The publisher has to add its events to the stream (PublisherConfig.Stream).
//
// # A slow reader
//
// PubSub gives events to its sink as fast as the sink accepts them, and reads up to 32 MiB ahead of the sink, so that a
// burst of events does not fill the server's buffer. When the sink falls back further, the server's buffer for this
// connection fills up, and when it is full the server closes the connection. The feed reports that like any other lost
// link, and subscribes again.
//
// Stream reads as fast as its sink accepts the entries: at most 64 entries and 32 MiB at once, unless a single entry is
// larger. The entries that it has not read wait in the stream. When the sink falls back by more than the length of the
// stream, the feed reports a gap.
//
// # The right server
//
// After a failover an address may lead to another server, while existing connections still lead to the old one. With
// each batch a publisher asks the server whether it is a master (HELLO, which every user may call). Events that a
// replica or a Sentinel accepted count as not sent, and the next attempt uses a new connection. A publisher also uses a
// new connection after every refusal that is not about the event itself. A Stream leaves a server that was a master and
// has become a replica. A PubSub at a replica receives what the master publishes; when that ends, the missing
// heartbeats show it.
//
// # A silent link
//
// A connection can be open and dead. Three times in Config.SilenceLimit, PubSub sends a ping, and Stream reads again. Both
// give up a connection on which no complete reply and no complete message has arrived for SilenceLimit. Single bytes that
// trickle in do not count.
//
// # A link that carries nothing
//
// A server can answer pings and forward nothing, for example a replica that lost its master, or a node of a Cluster
// that lost the others. Heartbeats show that, if the manager sends them (see [Publisher.Heartbeat]). Once PubSub has
// received a heartbeat, it gives up a connection on which neither a heartbeat nor an event arrives for more than two
// intervals. Stream does not require heartbeats, but passes on those that it receives. A heartbeat with a newer version
// than that of the last entry shows that the manager could not add to the stream.
//
// # What the server has to allow
//
// A reader of channels needs SUBSCRIBE and PING, and PSUBSCRIBE if it has no environment. A reader of a stream needs XREAD
// and XREVRANGE on its key, SUBSCRIBE and PING for the heartbeats, and SELECT if Config.DB is not 0. A publisher needs
// PUBLISH, and XADD if it has a stream. An ACL that limits channels has to allow [HeartbeatChannelName], by its name or by
// a pattern. For a reader without an environment it has to contain [ChannelPattern] exactly as it is:
//
//	ACL SETUSER listener on >PASSWORD resetchannels &tenant-events:* &tenant-heartbeat:* -@all +subscribe +psubscribe +ping
//	ACL SETUSER reader on >PASSWORD ~tenant-events-stream:* resetchannels &tenant-heartbeat:* -@all +xread +xrevrange +subscribe +ping
//	ACL SETUSER publisher on >PASSWORD resetchannels &tenant-events:* &tenant-heartbeat:* -@all +publish
//	ACL SETUSER publisher ~tenant-events-stream:* +xadd
//
// A reader that may not receive heartbeats still gets events. In a Cluster every publisher, and a reader of a stream,
// needs CLUSTER SLOTS as well. At Sentinels the user needs only SENTINEL GET-MASTER-ADDR-BY-NAME.
//
// # What go-redis prints
//
// go-redis, the driver, has one logger for the whole process, which writes to standard error. This package does not
// change it, because all users of go-redis in the process share it. Everything that it prints, such as a refused
// connection, is also reported by the feed or returned by the publisher. To silence it, call once:
//
//	logging.Disable() // of github.com/redis/go-redis/v9/logging
//
// # How it is built
//
// The files, in the order in which they are read:
//
//	link.go, dialer.go, backoff.go  what both feeds share: one session after the other, each on its own connections, ended by silence
//	tls.go, bounded.go              around a connection: our certificate, and which side refused what; the bounds of what a server may send
//	errors.go                       what a caller can tell apart
//	config.go, hosts.go, url.go     where Redis is; what an address may contain, and what is shown of it
//	locate.go                       which server a session connects to: Sentinels name it, or a node of a Cluster is chosen at random. A publisher with Sentinels uses it too
//	neighbours.go                   the other nodes of a Cluster that is known by one address, for when nothing answers at that address
//	race.go                         dialling several addresses side by side, of which the first connection is kept
//	pubsub.go, session.go, inbox.go
//	                                Pub/Sub: a session subscribes, pings, and reads ahead of the sink
//	heartbeat.go                    heartbeats, and when missing ones end a session of Pub/Sub
//	stream.go, streamsession.go     Streams: a session reads the entries after the cursor and hands them on, at the pace of the sink
//	streambeats.go                  the heartbeats that a reader of a stream receives on a connection of its own, and one goroutine that reports both
//	cursor.go                       pure: the place of a reader in a stream, what an answer means for it, and when there is a gap
//	publisher.go, batch.go, names.go
//	                                publishing one event, or many at once; the names of channels and streams
//	client.go                       the settings of go-redis, for feeds and publishers
//	role.go                         what a server says it is: a master, a replica, a Sentinel, a node of a Cluster
//	exchange.go, clients.go         one request and answer of the publisher: whether the server was the right one, and what happens to the connection if not
package redisevents

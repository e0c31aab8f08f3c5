// Package redisevents carries lifecycle events over Redis Pub/Sub: [PubSub] is the [tenant.Feed] that listens,
// [Publisher] the other end. It is the one place that knows how the channels are called.
//
// # What arrives, and in which order
//
// Events of one channel arrive in the order in which Redis took them. Pub/Sub keeps nothing: what was published while
// nobody was connected is lost, which is why a feed tells of every confirmed subscription, the first one and all that
// follow. Whoever needs to be right reads the whole list of tenants after each of them.
//
// # A slow reader
//
// PubSub hands events to its sink as fast as the sink takes them. It reads ahead of the sink, so that a burst finds the
// server's buffer empty, up to 32 MiB. A sink that falls back further makes the server fill its own buffer, and a
// server whose buffer for us is full closes the connection. That is a lost link like any other: the feed tells of it
// and subscribes again.
//
// # A silent link
//
// A connection can be open and dead. PubSub pings, and gives a connection up on which no complete reply and no complete
// message arrived for Config.SilenceLimit; single bytes that trickle in do not count.
//
// # What the server has to allow
//
// A listener needs SUBSCRIBE or PSUBSCRIBE and PING. An ACL that limits channels has to name [ChannelPattern] literally
// for a listener without an environment.
package redisevents

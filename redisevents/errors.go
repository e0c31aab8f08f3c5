package redisevents

import (
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

var (
	// ErrSilent means that no complete reply and no complete message arrived for Config.SilenceLimit.
	ErrSilent = errors.New("nothing arrived from Redis within the silence limit")
	// ErrRefused means that Redis answered with an error: wrong credentials, a command or a channel that the ACL does
	// not allow, a server that is still loading. The error around it has Redis' own words.
	ErrRefused = errors.New("refused by Redis")
	// ErrUnready comes with ErrRefused when the refusal is not about the event: Redis is loading, is a replica, has no
	// memory left, cannot write to its disk, has lost its master or a part of its Cluster, does not accept our
	// credentials, or forbids something that every event needs.
	ErrUnready = errors.New("not ready")
	// ErrForbidden comes with ErrRefused when the ACL does not allow the channel for events of this tenant. Events of
	// other tenants may still pass. The ACL has to change, not the event.
	ErrForbidden = errors.New("forbidden by the ACL")
	// ErrNotInStream means that an event was announced on its channels but is not in the stream. Redis refused it
	// there, or it was not sent there because the stream lacks an earlier event of the same tenant.
	ErrNotInStream = errors.New("announced, but not in the stream")
	// ErrSkipped is what PublishAll returns for an event that it did not send: an earlier event of the same tenant had failed,
	// no time was left, or the server did not answer or was not one to publish to.
	ErrSkipped = errors.New("not sent")
	// ErrUnsubscribed means that Redis ended the subscription but kept the connection open.
	ErrUnsubscribed = errors.New("unsubscribed by Redis")
	// ErrProtocol means that Redis sent something that a subscriber does not expect.
	ErrProtocol = errors.New("unexpected data from Redis")
	// ErrNoHeartbeat means that a heartbeat had arrived before, but then neither a heartbeat nor an event arrived for
	// more than two intervals, although Redis answers. The manager is gone, or what it sends does not reach this
	// server.
	ErrNoHeartbeat = tenant.ErrNoHeartbeat
)

// quotedArguments is what an old server says before it quotes the arguments of a command that it does not know. Since it
// cuts them, a password would be there in part.
const quotedArguments = "with args beginning with:"

// classify adds ErrRefused to an error reply, and takes the passwords out of it.
func classify(err error, passwords []string) error {
	if err == nil {
		return nil
	}
	var reply redis.Error
	refused, unready := errors.As(err, &reply), isUnready(err)
	if said, _, quotes := strings.Cut(err.Error(), quotedArguments); quotes {
		err = errors.New(said + quotedArguments + " " + redacted)
	}
	for _, password := range passwords {
		if text := err.Error(); password != "" && strings.Contains(text, password) {
			err = errors.New(strings.ReplaceAll(text, password, redacted))
		}
	}
	if len(err.Error()) > maxErrorText {
		err = &shortError{err}
	}
	switch {
	case unready:
		return &refusal{err, ErrUnready}
	case refused:
		return &refusal{err, nil}
	}
	return err
}

// maxErrorText is how much of an error is shown, in bytes. A server's own words may be of any length.
const maxErrorText = 1000

type shortError struct{ error }

func (e *shortError) Error() string {
	return strings.ToValidUTF8(e.error.Error()[:maxErrorText], "") + "…"
}

func (e *shortError) Unwrap() error { return e.error }

// refusal is an ErrRefused that may be something else too: ErrUnready or ErrForbidden. Redis' own words say enough of why, so
// that is not in the text.
type refusal struct {
	reply error
	also  error // nil is nothing else
}

func (r *refusal) Error() string { return ErrRefused.Error() + ": " + r.reply.Error() }

func (r *refusal) Unwrap() error { return r.reply }

func (r *refusal) Is(target error) bool {
	return target == ErrRefused || r.also != nil && target == r.also
}

// refusedFor makes an ErrRefused that is not about the event out of one.
func refusedFor(err, also error) error {
	if r, ok := errors.AsType[*refusal](err); ok {
		err = r.reply
	}
	return &refusal{err, also}
}

// elsewhereReplies are the beginnings of the error replies by which a server says that it is not the one to write to, or not
// yet. Whatever else it took with such a reply, no one may rely on.
var elsewhereReplies = []string{"READONLY", "MASTERDOWN", "LOADING", "MOVED", "ASK"}

// unreadyReplies are the beginnings of the other error replies that have nothing to do with what was sent.
var unreadyReplies = []string{
	"OOM", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOAUTH", "WRONGPASS", "max number of clients",
}

// forbiddenReplies are the beginnings of those that meet a command for what it does, whatever it is to carry.
var forbiddenReplies = []string{"NOPERM", "WRONGTYPE", "unknown command"}

func isElsewhere(err error) bool { return begins(err, elsewhereReplies) }

func isUnready(err error) bool { return isElsewhere(err) || begins(err, unreadyReplies) }

func forbids(err error) bool { return begins(err, forbiddenReplies) }

// isForbidden reports whether the user may not do what was asked for, which no other attempt will change.
func isForbidden(err error) bool { return begins(err, []string{"NOPERM"}) }

// isOfChannel reports whether a NOPERM is about a channel, and not about the command. Redis has no other way to say so.
func isOfChannel(err error) bool { return strings.Contains(err.Error(), "channel") }

func begins(err error, starts []string) bool {
	return err != nil && slices.ContainsFunc(starts, func(start string) bool { return redis.HasErrorPrefix(err, start) })
}

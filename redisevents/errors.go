package redisevents

import (
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrSilent means that no complete reply and no complete message arrived for Config.SilenceLimit.
	ErrSilent = errors.New("nothing arrived from Redis within the silence limit")
	// ErrRefused means that Redis answered with an error: wrong credentials, a command or a channel that the ACL does
	// not allow, a server that is still loading. The error around it has Redis' own words.
	ErrRefused = errors.New("refused by Redis")
	// ErrUnready comes with ErrRefused where the answer says nothing of the event: Redis is loading, is a replica, has no
	// memory left, cannot write to its disk, has lost its master or a part of its Cluster, or does not know us.
	ErrUnready = errors.New("not ready")
	// ErrSkipped is what PublishAll returns for an event that it did not send, because an earlier one of the same
	// tenant had failed, or because its time was up.
	ErrSkipped = errors.New("not sent")
	// ErrUnsubscribed means that the subscription was ended from the other side, on a connection that is still there.
	ErrUnsubscribed = errors.New("unsubscribed by Redis")
	// ErrProtocol means that something arrived that is no reply to a subscriber.
	ErrProtocol = errors.New("unexpected data from Redis")
	// ErrNoHeartbeat means that heartbeats had been heard, and that then neither one nor any event came for more than
	// two intervals, although Redis answers: the manager is gone, or what it sends does not reach this server.
	ErrNoHeartbeat = errors.New("no heartbeat of the manager came for two intervals")
)

// classify adds ErrRefused to an error reply, and takes the passwords out of it: an old server quotes the
// arguments of a command that it does not know.
func classify(err error, passwords []string) error {
	if err == nil {
		return nil
	}
	var reply redis.Error
	refused, unready := errors.As(err, &reply), isUnready(err)
	for _, password := range passwords {
		if text := err.Error(); password != "" && strings.Contains(text, password) {
			err = errors.New(strings.ReplaceAll(text, password, redacted))
		}
	}
	if refused || unready {
		return &refusal{err, unready}
	}
	return err
}

// refusal is an ErrRefused that may be an ErrUnready too. Redis' own words say enough of why, so that is not in the text.
type refusal struct {
	reply   error
	unready bool
}

func (r *refusal) Error() string { return ErrRefused.Error() + ": " + r.reply.Error() }

func (r *refusal) Unwrap() error { return r.reply }

func (r *refusal) Is(target error) bool {
	return target == ErrRefused || r.unready && target == ErrUnready
}

// unreadyReplies are the beginnings of the error replies that have nothing to do with what was sent.
var unreadyReplies = []string{
	"LOADING", "READONLY", "OOM", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY",
	"NOAUTH", "WRONGPASS", "max number of clients",
}

func isUnready(err error) bool {
	return slices.ContainsFunc(unreadyReplies, func(start string) bool { return redis.HasErrorPrefix(err, start) })
}

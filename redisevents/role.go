package redisevents

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	errReplica = errors.New("this server is a replica, and what a replica is told does not reach the listeners of its master")
	errMonitor = errors.New("this server is a Sentinel, which passes nothing on: name it in Addrs, together with MasterName")
	errMember  = errors.New("this server is a replica in a Cluster, whose other nodes are asked from now on")
)

// resp is the protocol that is spoken with publishers, and said again with a HELLO: servers before 6.2 know none without it.
const resp = 3

// question asks a server what it is. Nil is one that was not asked.
type question struct {
	hello *redis.Cmd
	info  []*redis.Cmd // in its place, for a server that is too old for it
}

// askRole has a server say what it is, where that can be asked of one server. Everybody may say HELLO; a server before 6.0 does
// not know it, and has no users who may not ask for INFO.
func askRole(ctx context.Context, pipe redis.Pipeliner, protocol int, old bool) *question {
	if !old {
		return &question{hello: pipe.Do(ctx, "hello", protocol)}
	}
	return &question{info: []*redis.Cmd{pipe.Do(ctx, "info", "replication"), pipe.Do(ctx, "info", "server")}}
}

// isOld reports whether the server did not understand the question, so that the old form is the one to ask in.
func (q *question) isOld() bool {
	if q == nil || q.hello == nil {
		return false
	}
	_, refused := errors.AsType[redis.Error](q.hello.Err())
	return refused
}

// unfit returns why nothing may be published to the server, nil if it may or did not say.
func (q *question) unfit() error {
	replica := q.role() == "replica" || q.role() == "slave"
	switch {
	case q.mode() == "sentinel":
		return errMonitor
	case replica && q.mode() == "cluster":
		return errMember
	case replica:
		return errReplica
	}
	return nil
}

// role is "master", or "replica" or "slave"; empty where the server has not said.
func (q *question) role() string { return q.said("role", "role") }

// mode is "standalone", "sentinel" or "cluster"; empty where the server has not said.
func (q *question) mode() string { return q.said("mode", "redis_mode") }

func (q *question) said(inHello, inInfo string) string {
	if q == nil {
		return ""
	}
	if q.hello != nil {
		return wordOf(q.hello, inHello)
	}
	for _, info := range q.info {
		text, _ := info.Val().(string)
		for line := range strings.Lines(text) {
			if word, ok := strings.CutPrefix(line, inInfo+":"); ok {
				return strings.TrimSpace(word)
			}
		}
	}
	return ""
}

// wordOf returns one word of an answer, which is a map in RESP3 and a list in RESP2.
func wordOf(answer *redis.Cmd, what string) string {
	var word any
	switch all := answer.Val().(type) {
	case map[any]any:
		word = all[what]
	case []any:
		for i := 0; i+1 < len(all); i += 2 {
			if all[i] == what {
				word = all[i+1]
			}
		}
	}
	text, _ := word.(string)
	return text
}

// askOne asks one server, in the old form if it has to.
func askOne(ctx context.Context, client redis.UniversalClient, old bool) *question {
	pipe := client.Pipeline()
	asked := askRole(ctx, pipe, resp, old)
	_, _ = pipe.Exec(ctx) // no answer is an answer too
	if asked.isOld() {
		return askOne(ctx, client, true)
	}
	return asked
}

// deniesCluster reports whether a server has answered that it is in no Cluster, or does not know what one is. That none
// answers says nothing: a Cluster goes on while some of its nodes are gone.
func deniesCluster(err error) bool {
	_, reply := errors.AsType[redis.Error](err)
	return reply && (strings.Contains(err.Error(), "cluster support disabled") || begins(err, []string{"unknown command"}))
}

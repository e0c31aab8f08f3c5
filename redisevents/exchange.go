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
)

// deniesCluster reports whether there may be no Cluster any more where one was found: no node answers, or one does that knows
// no others, or not what a Cluster is. Then the address that was given is the one to ask again.
func deniesCluster(err error) bool {
	_, reply := errors.AsType[redis.Error](err)
	return err != nil && (!reply || strings.Contains(err.Error(), "cluster support disabled") || begins(err, []string{"unknown command"}))
}

// exchange sends commands together. It returns why the server that answered was the wrong one; then nothing counts of what
// it took. Otherwise each command has its own answer. After an answer that is not about the commands the connection is not
// used again: it may lead to a server that its address leads to no more.
func (p *Publisher) exchange(ctx context.Context, commands []redis.Cmder) error {
	if len(commands) == 0 {
		return nil
	}
	used := p.clients.take()
	pipe := used.Pipeline()
	before := askRole(ctx, pipe, used.cluster)
	for _, command := range commands {
		_ = pipe.Process(ctx, command) // queues it, and has no error
	}
	after := askRole(ctx, pipe, used.cluster) // a server may become a replica in the middle
	sent, err := pipe.Exec(ctx)
	if err != nil && firstError(sent) == nil { // the server refused the connection, and no command was sent
		for _, command := range commands {
			command.SetErr(err)
		}
	}
	wrong := p.wrongServer(used.cluster, commands, before, after)
	p.clients.giveBack(used, wrong != nil || aboutServer(commands) || used.cluster && deniesCluster(firstError(commands)))
	return wrong
}

// askRole has a server say what it is, where that can be asked of one server. Everybody may ask; an old server, or one that
// only looks like Redis, does not know the question.
func askRole(ctx context.Context, pipe redis.Pipeliner, cluster bool) *redis.Cmd {
	if cluster {
		return nil
	}
	return pipe.Do(ctx, "hello")
}

// wrongServer returns why nothing may be published to the server that gave these answers, or nil. The driver finds its way
// in a Cluster, and there one node's answer says nothing of another.
func (p *Publisher) wrongServer(cluster bool, commands []redis.Cmder, roles ...*redis.Cmd) error {
	if cluster {
		if deniesCluster(firstError(commands)) {
			p.clients.learn(false)
		}
		return nil
	}
	for _, command := range commands {
		if err := command.Err(); isElsewhere(err) {
			if begins(err, []string{"MOVED", "ASK"}) {
				p.clients.learn(true)
			}
			return classify(err, p.secrets())
		}
	}
	for _, role := range roles {
		if err := unfit(role); err != nil {
			return &refusal{err, true}
		}
	}
	return nil
}

// aboutServer reports whether a server refused for a reason of its own.
func aboutServer(commands []redis.Cmder) bool {
	for _, command := range commands {
		if err := command.Err(); isUnready(err) || forbids(err) {
			return true
		}
	}
	return false
}

// unfit judges the answer to askRole.
func unfit(role *redis.Cmd) error {
	switch {
	case said(role, "mode") == "sentinel":
		return errMonitor
	case said(role, "role") == "replica" || said(role, "role") == "slave":
		return errReplica
	}
	return nil
}

// said returns one word of the answer to askRole, which is a map in RESP3 and a list in RESP2.
func said(answer *redis.Cmd, what string) string {
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

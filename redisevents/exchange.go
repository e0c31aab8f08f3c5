package redisevents

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// doubtLimit bounds asking the address that was given whether it still leads to a Cluster.
const doubtLimit = time.Second

const (
	joinAgain  = 10 * time.Second // and twice as long each time
	joinAtMost = 10 * time.Minute // each of them may take doubtLimit of the caller that publishes
)

// exchange sends commands together. It returns why the server that answered was the wrong one; then nothing counts of what
// it took. Otherwise each command has its own answer. After an answer that is not about the commands the connection is not
// used again: it may lead to a server that its address leads to no more.
func (p *Publisher) exchange(ctx context.Context, commands []redis.Cmder) error {
	if len(commands) == 0 {
		return nil
	}
	used := p.takeClient(ctx)
	pipe := used.Pipeline()
	before := used.askRole(ctx, pipe)
	for _, command := range commands {
		_ = pipe.Process(ctx, command) // queues it, and has no error
	}
	after := used.askRole(ctx, pipe) // a server may become a replica in the middle
	sent, err := pipe.Exec(ctx)
	if err != nil && firstError(sent) == nil { // the server refused the connection, and no command was sent
		for _, command := range commands {
			command.SetErr(err)
		}
	}
	roles := []*question{before, after}
	if before.isOld() {
		used.old.Store(true)
		roles = append(roles, askOne(ctx, used, true))
	}
	wrong := p.wrongServer(used.cluster, commands, roles)
	if doubted := hadNoAnswer(firstError(commands)); used.cluster {
		used.doubt(ctx, doubted)
	} else if doubted {
		p.clients.joinSoon(used)
	}
	if wrong == nil && before.mode() == "cluster" {
		p.join(ctx, used)
	}
	p.clients.giveBack(used, wrong != nil || p.clients.leaves(used, commands))
	return wrong
}

// join goes over to the Cluster that the one server belongs to, while that lives: the others are known then when it is gone.
// It does so where every master can be talked to. Behind a translation of addresses, or for a user who may not ask for them, the
// one server is all there is. Without an answer it is tried again later: a master that is being replaced answers nothing.
func (p *Publisher) join(ctx context.Context, used *client) {
	if !p.clients.mayJoin(used, time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, doubtLimit)
	defer cancel()
	cluster, ok := p.clients.open(true).(*redis.ClusterClient)
	if !ok {
		return
	}
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		if err := master.Ping(ctx).Err(); hadNoAnswer(err) {
			return err
		}
		return nil // that it is forbidden is an answer
	})
	if forbids(err) {
		p.clients.neverJoin(used)
	}
	if err != nil || !p.clients.replace(used, cluster) {
		_ = cluster.Close()
	}
}

// takeClient takes the current client. After one of a Cluster had no answer, the address that was given is asked first: it may
// lead to a single server by now, which the nodes that are gone cannot say. Without an answer it stays a Cluster.
func (p *Publisher) takeClient(ctx context.Context) *client {
	used := p.clients.take()
	if !used.cluster || p.clients.fixed || !used.doubted.Swap(false) {
		return used
	}
	ctx, cancel := context.WithTimeout(ctx, doubtLimit)
	defer cancel()
	given := p.clients.open(false)
	defer func() { _ = given.Close() }()
	if mode := askOne(ctx, given, false).mode(); mode == "" || mode == "cluster" {
		return used
	}
	p.clients.learn(false)
	p.clients.giveBack(used, true)
	return p.clients.take()
}

// hadNoAnswer reports whether a command failed for another reason than a server's.
func hadNoAnswer(err error) bool {
	_, reply := errors.AsType[redis.Error](err)
	return err != nil && !reply
}

// wrongServer returns why nothing may be published to the server that gave these answers, or nil. The driver finds its way
// in a Cluster, and there one node's answer says nothing of another.
func (p *Publisher) wrongServer(cluster bool, commands []redis.Cmder, roles []*question) error {
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
		if err := role.unfit(); err != nil {
			if errors.Is(err, errMember) {
				p.clients.learn(true)
			}
			return &refusal{err, ErrUnready}
		}
	}
	return nil
}

// aboutServer reports whether a server refused for a reason of its own. What it forbids a user is none: a channel, a key or a
// command, which it would allow over the same connection once it does.
func aboutServer(commands []redis.Cmder) bool {
	for _, command := range commands {
		if isUnready(command.Err()) {
			return true
		}
	}
	return false
}

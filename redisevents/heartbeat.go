package redisevents

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// HeartbeatInterval is how often a manager that sends heartbeats sends one.
const HeartbeatInterval = tenant.HeartbeatInterval

const (
	// heartbeatPatience is two intervals, and a margin for one that was on its way.
	heartbeatPatience = 2*HeartbeatInterval + time.Second
	// maxHeartbeatBytes is far more than a version and a time need.
	maxHeartbeatBytes = 4 << 10
)

// beatChannel is the channel of heartbeats, which is that of the environment: the feed's own, or the one that it is told of.
type beatChannel struct {
	fixed bool // the feed has an environment of its own

	mu      sync.Mutex // guards what follows
	name    string
	known   bool          // it is the channel of an environment, so that the manager of that one uses it
	refused bool          // Redis does not allow to hear it, so that it is not asked for again
	changed chan struct{} // closed when it is another one
}

func newBeatChannel(environment string) *beatChannel {
	return &beatChannel{
		fixed: environment != "", known: environment != "", name: HeartbeatChannelName(environment), changed: make(chan struct{}),
	}
}

func (b *beatChannel) use(environment string) {
	environment, err := tenant.ParseEnvironment(environment)
	b.mu.Lock()
	defer b.mu.Unlock()
	if name := HeartbeatChannelName(environment); err == nil && environment != "" && !b.fixed && name != b.name {
		b.name, b.known, b.refused = name, true, false
		close(b.changed)
		b.changed = make(chan struct{})
	}
}

// now returns the channel, whether it may be heard as far as is known, and what is closed when it is another one.
func (b *beatChannel) now() (name string, audible bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.name, !b.refused, b.changed
}

func (b *beatChannel) is(channel string) bool {
	name, _, _ := b.now()
	return channel == name
}

// expects reports whether a heartbeat has to come by the channel where a manager sends any.
func (b *beatChannel) expects() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known && !b.refused
}

// refuse notes that Redis does not allow to hear the channel, and returns what a subscription then lacks.
func (b *beatChannel) refuse(reason error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused = true
	return fmt.Errorf("no heartbeats of the manager by channel %q: %w", b.name, reason)
}

// beatNews is that the channel of heartbeats was confirmed later than the subscription, or refused.
type beatNews struct{ lacks error }

// pulse is what one Run knows of heartbeats, over all its sessions.
type pulse struct {
	heard   bool // at least one, so that more are expected; the reading goroutine's
	doubted bool // the last subscription ended for want of one; the telling goroutine's
}

// alive takes note of a message that has come, and begins the time again within which the next one has to come.
func (s *session) alive(message *redis.Message) {
	if s.feed.beats.is(message.Channel) && !s.feed.cfg().NoHeartbeats {
		s.pulse.heard = true
	}
	s.awaitBeat()
}

// awaitBeat expects something within the patience, if there is anything to expect.
func (s *session) awaitBeat() {
	if s.hears && s.pulse.heard {
		s.beat.Reset(s.feed.patience)
	}
}

// heartbeatSignal reads a heartbeat. One without an epoch is that of a manager without versions: it says only that
// somebody is there.
func heartbeatSignal(message *redis.Message) tenant.Signal {
	var beat struct { // without the time, of which nothing depends
		Epoch    string `json:"epoch"`
		Revision uint64 `json:"revision"`
	}
	err := errors.New("too large")
	if len(message.Payload) <= maxHeartbeatBytes {
		err = tenant.Unmarshal([]byte(message.Payload), &beat)
	}
	if err != nil {
		return tenant.Signal{Kind: tenant.SignalBadEvent, Err: fmt.Errorf("heartbeat on channel %q: %w", message.Channel, err)}
	}
	return tenant.Signal{Kind: tenant.SignalHeartbeat, Version: tenant.Version{Epoch: beat.Epoch, Revision: beat.Revision}}
}

func encodeHeartbeat(v tenant.Version, at time.Time) ([]byte, error) {
	if v.Epoch == "" {
		return nil, errors.New("the version has no epoch")
	}
	data, err := json.Marshal(tenant.Heartbeat{Epoch: v.Epoch, Revision: v.Revision, Timestamp: at.UTC()})
	if err == nil && len(data) > maxHeartbeatBytes {
		err = fmt.Errorf("%d bytes, the most is %d", len(data), maxHeartbeatBytes)
	}
	return data, err
}

package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
	"github.com/tenantwatch/tenantwatch/worker"
)

// exitConfig is EX_CONFIG of sysexits.h: something is wrong that trying again does not make right.
const exitConfig = 78

// runner starts the process of a tenant and sees it through. It is the work of a worker.Group.
type runner struct {
	path    string
	args    []string
	env     []string
	grace   time.Duration
	keeper  *keeper
	hurry   <-chan struct{} // closed when nothing is given its grace any more
	signal  os.Signal       // for a process whose tenant was reconfigured; nil: none
	display display

	mu      sync.Mutex // guards running
	running map[string]*turn
}

// turn is one run of a tenant, and its process once that has been started.
type turn struct {
	voice voice
	mu    sync.Mutex // held while the process is being started; guards child
	child *child
}

// work runs one process from its start to its end, and that of all it has left in its group.
func (r *runner) work(ctx context.Context, tenantID string) error {
	this := &turn{voice: r.display.voice(tenantID)}
	key := tenant.CanonicalID(tenantID)
	r.note(key, this)
	defer r.note(key, nil)
	c, err := r.start(ctx, this, tenantID)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		this.voice.event(event{Type: eventFailed, Reason: err.Error()})
		return err
	}
	c.run(ctx, r.grace, r.hurry, this.voice)
	how, pid := c.cmd.ProcessState.String(), c.pid()
	switch {
	case ctx.Err() != nil:
		this.voice.event(event{Type: eventStopped, PID: pid, Reason: how})
		return ctx.Err()
	case c.err == nil:
		this.voice.event(event{Type: eventDone, PID: pid})
		return nil
	case c.cmd.ProcessState.ExitCode() == exitConfig:
		this.voice.event(event{Type: eventGivenUp, PID: pid, Reason: how})
		return fmt.Errorf("%w: %w", worker.ErrGiveUp, c.err)
	default:
		this.voice.event(event{Type: eventFailed, PID: pid, Reason: how})
		return c.err
	}
}

func (r *runner) note(key string, this *turn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if this == nil {
		delete(r.running, key)
		return
	}
	r.running[key] = this
}

func (r *runner) start(ctx context.Context, this *turn, tenantID string) (*child, error) {
	this.mu.Lock()
	defer this.mu.Unlock()
	var err error
	if this.child, err = startChild(ctx, r.keeper, r.path, r.args, environment(r.env, "TENANT_ID", tenantID)); err != nil {
		return nil, fmt.Errorf("start the process: %w", err)
	}
	this.voice.event(event{Type: eventStarted, PID: this.child.pid()})
	return this.child, nil
}

// reconfigured sends the signal to the process itself: what to do about those that it has started, it knows best. A process
// that is not started yet will see the new configuration, and one that has ended needs it no more.
func (r *runner) reconfigured(_ context.Context, tenantID string, reason tenant.EventType) error {
	r.mu.Lock()
	this := r.running[tenant.CanonicalID(tenantID)]
	r.mu.Unlock()
	if this == nil {
		return nil
	}
	this.mu.Lock()
	defer this.mu.Unlock()
	if this.child == nil || this.child.hasEnded() {
		return nil
	}
	if err := this.child.cmd.Process.Signal(r.signal); err == nil {
		this.voice.event(event{Type: eventSignalled, PID: this.child.pid(), Reason: fmt.Sprintf("%s, because of %s", r.signal, reason)})
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/cmd/internal/process"
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
	keeper  *process.Keeper
	hurry   <-chan struct{} // closed when nothing is given its grace any more
	signal  os.Signal       // for a process whose tenant was reconfigured; nil: none
	display process.Display

	mu      sync.Mutex // guards running
	running map[string]*turn
}

// turn is one run of a tenant, and its process once that has been started.
type turn struct {
	voice process.Voice
	mu    sync.Mutex // held while the process is being started; guards child
	child *process.Child
}

// work runs one process from its start to its end, and that of all it has left in its group.
func (r *runner) work(ctx context.Context, tenantID string) error {
	this := &turn{voice: r.display.Voice(tenantID)}
	key := tenant.CanonicalID(tenantID)
	r.note(key, this)
	defer r.note(key, nil)
	c, err := r.start(ctx, this, tenantID)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		this.voice.Event(process.Event{Type: process.EventFailed, Reason: err.Error()})
		return err
	}
	c.Run(ctx, r.grace, r.hurry, this.voice)
	how, pid := c.State().String(), c.PID()
	switch {
	case ctx.Err() != nil:
		this.voice.Event(process.Event{Type: process.EventStopped, PID: pid, Reason: how})
		return ctx.Err()
	case c.Err() == nil:
		this.voice.Event(process.Event{Type: process.EventDone, PID: pid})
		return nil
	case c.State().ExitCode() == exitConfig:
		this.voice.Event(process.Event{Type: process.EventGivenUp, PID: pid, Reason: how})
		return fmt.Errorf("%w: %w", worker.ErrGiveUp, c.Err())
	default:
		this.voice.Event(process.Event{Type: process.EventFailed, PID: pid, Reason: how})
		return c.Err()
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

func (r *runner) start(ctx context.Context, this *turn, tenantID string) (*process.Child, error) {
	this.mu.Lock()
	defer this.mu.Unlock()
	var err error
	if this.child, err = process.Start(ctx, r.keeper, r.path, r.args, process.Environment(r.env, "TENANT_ID", tenantID)); err != nil {
		return nil, fmt.Errorf("start the process: %w", err)
	}
	this.voice.Event(process.Event{Type: process.EventStarted, PID: this.child.PID()})
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
	if this.child == nil || this.child.HasEnded() {
		return nil
	}
	if err := this.child.Signal(r.signal); err == nil {
		this.voice.Event(process.Event{Type: process.EventSignalled, PID: this.child.PID(), Reason: fmt.Sprintf("%s, because of %s", r.signal, reason)})
	}
	return nil
}

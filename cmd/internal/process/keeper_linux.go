package process

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// startsAtOnce bounds how many threads are busy with starting processes.
	startsAtOnce = 4
	// lookEvery is how often it is looked, at most, what is left of the groups that were asked to end.
	lookEvery = 20 * time.Millisecond
	// maxLookShare is the share of the time that looking may take: one in so many.
	maxLookShare = 10
)

// Keeper knows the processes that were started and were not waited for. One goroutine hears of their ends and looks what is
// left of their groups, for all at once: a process costs no thread, which a limit of tasks counts, and a thousand groups that
// end are one look at the list of processes. The first process of a group is waited for last, so that nobody else can have
// its id while the group is signalled by it.
//
// Where we are the first process of a container, or a subreaper, the keeper waits for orphans too, whatever group they are in.
type Keeper struct {
	room     chan struct{} // has one for each process that is being started
	starting sync.RWMutex  // held for writing while orphans are waited for: none of them is one that is being started
	signals  chan os.Signal
	nudges   chan struct{}
	quit     chan struct{}
	running  sync.WaitGroup
	adopts   bool // orphans are ours
	blind    bool // there is no list of processes, or it is not that of our ids

	mu       sync.Mutex // guards what follows
	children map[int]*Child
	watched  map[*Child]chan struct{}
	orphans  bool // there may be some
}

// NewKeeper returns a keeper that Close ends.
func NewKeeper() *Keeper {
	k := &Keeper{
		room: make(chan struct{}, startsAtOnce), signals: make(chan os.Signal, 1), nudges: make(chan struct{}, 1), quit: make(chan struct{}),
		children: map[int]*Child{}, watched: map[*Child]chan struct{}{}, adopts: adopts(), blind: !seesItself(),
	}
	k.orphans = k.adopts
	signal.Notify(k.signals, syscall.SIGCHLD)
	k.running.Go(k.run)
	return k
}

// adopts reports whether the system gives us the children of processes that have ended.
func adopts() bool {
	var subreaper int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0) //nolint:gosec // that is how the call takes it
	return os.Getpid() == 1 || err == nil && subreaper != 0
}

// Close ends the hearing. What it kept has ended before.
func (k *Keeper) Close() {
	signal.Stop(k.signals)
	close(k.quit)
	k.running.Wait()
}

// start starts the process of c, unless ctx ends before there is room for that.
func (k *Keeper) start(ctx context.Context, c *Child) error {
	select {
	case k.room <- struct{}{}:
		defer func() { <-k.room }()
	case <-ctx.Done():
		return ctx.Err()
	}
	k.starting.RLock()
	defer k.starting.RUnlock()
	if err := c.cmd.Start(); err != nil {
		return err
	}
	c.group = group{id: c.PID()}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.children[c.PID()] = c
	k.notice(c) // it may have ended before we knew of it
	return nil
}

// notice closes exited when the process has ended. It is not waited for by that. The caller has the lock.
func (k *Keeper) notice(c *Child) {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, c.PID(), &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if info.Signo != 0 || err == unix.ECHILD {
		close(c.exited)
		c.over = true
	}
}

// watch returns a channel that is closed once the process and all of its group have ended. stop ends the watching.
func (k *Keeper) watch(c *Child) (gone <-chan struct{}, stop func()) {
	all := make(chan struct{})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watched[c] = all
	select {
	case k.nudges <- struct{}{}:
	default:
	}
	return all, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.watched, c)
	}
}

// reap waits for a process that has ended, after it has killed what is left of its group, if anything is.
func (k *Keeper) reap(c *Child) {
	c.group.kill()
	c.err = c.cmd.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.children[c.PID()] == c { // else another one has its id already
		delete(k.children, c.PID())
	}
}

// run hears and looks until quit is closed.
func (k *Keeper) run() {
	var sweeps, looks pace
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for sweeping := true; ; {
		if sweeping && sweeps.due() {
			sweeps.do(k.sweep, 0)
			sweeping = false
		}
		if k.hasToLook() && looks.due() {
			looks.do(k.look, lookEvery)
		}
		next := time.Hour
		if sweeping {
			next = min(next, time.Until(sweeps.next))
		}
		if k.hasToLook() {
			next = min(next, time.Until(looks.next))
		}
		alarm.Reset(next)
		select {
		case <-k.quit:
			return
		case <-k.signals:
			sweeping = true
		case <-k.nudges:
		case <-alarm.C:
		}
	}
}

// pace keeps something that is done again and again to its share of the time.
type pace struct{ next time.Time }

func (p *pace) due() bool { return !time.Now().Before(p.next) }

func (p *pace) do(what func(), least time.Duration) {
	began := time.Now()
	what()
	p.next = time.Now().Add(max(least, (maxLookShare-1)*time.Since(began)))
}

// sweep notices which processes have ended.
func (k *Keeper) sweep() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.orphans = k.adopts
	for _, c := range k.children {
		if !c.over {
			k.notice(c)
		}
	}
}

// hasToLook reports whether somebody waits for the rest of a group, or orphans may wait for us.
func (k *Keeper) hasToLook() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.orphans {
		return true
	}
	for c := range k.watched {
		if c.over {
			return true
		}
	}
	return false
}

// look tells whoever watches a group of which nothing is left, and waits for orphans that have ended.
func (k *Keeper) look() {
	k.mu.Lock()
	asked := make(map[*Child]chan struct{}, len(k.watched))
	for c, all := range k.watched {
		if c.over {
			asked[c] = all
		}
	}
	k.orphans = false
	k.mu.Unlock()
	var living map[int]bool // one that is blind sees nobody, and what is left of a group gets no grace there
	var ended []int
	if !k.blind {
		var err error
		if living, ended, err = takeCensus(); err != nil {
			return // nothing is known, and it is looked again
		}
	}
	k.mu.Lock()
	for c, all := range asked {
		if !living[c.group.id] && k.watched[c] == all {
			close(all)
			delete(k.watched, c)
		}
	}
	k.mu.Unlock()
	switch {
	case k.adopts && k.blind:
		k.buryUnseen()
	case k.adopts:
		k.bury(ended)
	}
}

// bury waits for those that nobody else waits for.
func (k *Keeper) bury(ended []int) {
	k.starting.Lock()
	defer k.starting.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, pid := range ended {
		if k.children[pid] == nil {
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // if it is not there, so much the better
		}
	}
}

// buryUnseen does the same without a list of processes. The system names one that has ended, and the same one until it was
// waited for: behind one of ours there may be others, and it is looked again.
func (k *Keeper) buryUnseen() {
	k.starting.Lock()
	defer k.starting.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	for pid := anyEnded(); pid != 0; pid = anyEnded() {
		if k.children[pid] != nil {
			k.orphans = true
			return
		}
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	}
}

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tenantwatch/tenantwatch/discovery"
)

const (
	// pulse is how often the process sees that it runs.
	pulse = 500 * time.Millisecond
	// stoodStill is a gap between two pulses that no busy machine explains.
	stoodStill = 3 * time.Second
	// aftermath is how long what goes wrong afterwards is taken for a consequence.
	aftermath = 15 * time.Second
)

// standstill notices that this process itself did not run for a while, as between SIGSTOP and SIGCONT. To the process it
// looks as if everybody else had fallen silent.
type standstill struct {
	mu          sync.Mutex // guards what is below
	last, until time.Time
	took        time.Duration
}

// during looks while body runs, and calls pulsed each time.
func (s *standstill) during(ctx context.Context, pulsed func(), body func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	var looking sync.WaitGroup
	looking.Go(func() { s.run(ctx, pulsed) })
	defer looking.Wait()
	defer cancel()
	return body()
}

// run looks until ctx ends.
func (s *standstill) run(ctx context.Context, pulsed func()) {
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	for {
		s.lately(time.Now())
		pulsed()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lately returns for how long the process stood still, if it did just before now. Whoever wakes up first notices.
func (s *standstill) lately(now time.Time) (took time.Duration, still bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gap := now.Sub(s.last); !s.last.IsZero() && gap > stoodStill {
		s.until, s.took = now, gap
	}
	s.last = now
	return s.took, s.took > 0 && now.Sub(s.until) < aftermath
}

// blame is a status whose errors say that it was this process, if it was.
func (s *standstill) blame(status discovery.Status) discovery.Status {
	took, still := s.lately(time.Now())
	if !still {
		return status
	}
	if status.Reason != "" && status.State != discovery.Live {
		status.Reason = fmt.Sprintf("this process itself stood still for %s: %s", took.Round(time.Second), status.Reason)
	}
	for _, err := range []*error{&status.FeedError, &status.SnapshotError} {
		if *err != nil {
			*err = fmt.Errorf("this process itself stood still for %s: %w", took.Round(time.Second), *err)
		}
	}
	return status
}

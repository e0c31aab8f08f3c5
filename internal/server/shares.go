package server

import (
	"context"
	"sync"
)

// shares let each caller read some lists at once and have the others wait, so that one whose clients are slow leaves room
// for the rest.
type shares struct {
	each int // how many a caller may read at once

	mu     sync.Mutex // guards what is below
	shares map[string]*share
}

// share is there as long as somebody uses it, so that there are no more of them than requests.
type share struct {
	slots chan struct{} // one in it for each list that is being read
	users int
}

// newShares divides room for so many lists at once in halves.
func newShares(room int) *shares {
	return &shares{each: max(1, room/2), shares: map[string]*share{}} //nolint:mnd // a half
}

// take waits until the caller may read one more, or ctx ends. done has to be called once it was read.
func (s *shares) take(ctx context.Context, who string) (done func(), err error) {
	mine := s.enter(who)
	select {
	case mine.slots <- struct{}{}:
		return func() {
			<-mine.slots
			s.leave(who, mine)
		}, nil
	case <-ctx.Done():
		s.leave(who, mine)
		return nil, context.Cause(ctx)
	}
}

func (s *shares) enter(who string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.shares[who]
	if mine == nil {
		mine = &share{slots: make(chan struct{}, s.each)}
		s.shares[who] = mine
	}
	mine.users++
	return mine
}

func (s *shares) leave(who string, mine *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine.users--
	if mine.users == 0 {
		delete(s.shares, who)
	}
}

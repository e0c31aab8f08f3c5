package server

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// maxCallers is how many callers a limiter remembers that have nothing of it at present.
const maxCallers = 10_000

// limiter bounds what callers have of something that is short, each caller by itself. There are so many places of it: a caller
// may have one, and more as long as they would not be more than are free, so that whoever takes all they can get leaves as
// much to the next. Or it has a rate, by which what was taken comes back with time. The nil limiter lets everything pass.
type limiter struct {
	short       shortage
	places      int     // 0 for a rate
	rate, burst float64 // a second; at once. 0 for places

	mu      sync.Mutex // guards what is below
	free    int
	turns   uint64 // two for each place that was got, so that there is room between
	callers map[string]*share
}

// shortage is how a refusal names what is short.
type shortage struct {
	status     int
	code, text string
	others     string        // the text for a caller that has nothing of it; empty is text
	again      time.Duration // Retry-After; of a rate it is known
}

// share is what one caller has of it.
type share struct {
	held    int
	turn    uint64    // when the last place was got
	waiting int       // of queue, those that have not gone away
	queue   []*waiter // oldest first
	tokens  float64
	at      time.Time // of tokens
}

type waiter struct {
	ready chan struct{} // closed when the place is there
	gone  bool
}

// newPlaces has at least one.
func newPlaces(n int, short shortage) *limiter {
	n = max(n, 1)
	return &limiter{short: short, places: n, free: n, callers: map[string]*share{}}
}

// newRate is nil for the rate 0.
func newRate(perSecond float64, short shortage) *limiter {
	if perSecond == 0 {
		return nil
	}
	return &limiter{short: short, rate: perSecond, burst: max(2*perSecond, 1), callers: map[string]*share{}}
}

// try takes one now, or says what is short. done gives a place back, and has to be called once.
func (l *limiter) try(who string) (done func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.share(who)
	if l.rate > 0 {
		return func() {}, l.spend(s)
	}
	if s.waiting > 0 || !l.allows(s) {
		l.forget(who, s)
		return nil, l.refusal(l.short.again)
	}
	l.grant(s)
	return l.giver(who, s), nil
}

// take waits for a place until ctx ends. Then the error says what was short, unless it is the caller that is gone. Those that
// wait are served in turn, caller by caller.
func (l *limiter) take(ctx context.Context, who string) (done func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	s, w := l.enqueue(who)
	select {
	case <-w.ready:
		return l.giver(who, s), nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.ready: // in the same moment
		return l.giver(who, s), nil
	default:
	}
	s.leave(w)
	l.forget(who, s)
	if context.Cause(ctx) == context.Canceled { //nolint:errorlint // exactly this one: any other is about time
		return nil, context.Canceled
	}
	refusal := l.refusal(l.short.again)
	if s.held == 0 && l.short.others != "" {
		refusal.Message = l.short.others
	}
	return nil, refusal
}

func (l *limiter) enqueue(who string) (*share, *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, w := l.share(who), &waiter{ready: make(chan struct{})}
	s.queue = append(s.queue, w)
	s.waiting++
	l.serve()
	return s, w
}

// giver returns what gives a place back.
func (l *limiter) giver(who string, s *share) func() {
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		s.held--
		l.free++
		l.serve()
		l.forget(who, s)
	}
}

// serve hands out what is free: to whoever has least, and of those to whoever has waited for their turn longest.
func (l *limiter) serve() {
	for l.free > 0 {
		var next *share
		for _, s := range l.callers {
			if s.waiting > 0 && l.allows(s) && (next == nil || s.before(next)) {
				next = s
			}
		}
		if next == nil {
			return
		}
		l.grant(next)
		close(next.pop().ready)
	}
}

func (l *limiter) allows(s *share) bool { return l.free > 0 && (s.held == 0 || s.held < l.free) }

func (l *limiter) grant(s *share) {
	l.free--
	l.turns += 2
	s.held, s.turn = s.held+1, l.turns
}

// spend takes from the bucket that fills with time.
func (l *limiter) spend(s *share) error {
	now := time.Now()
	s.tokens, s.at = l.filled(s, now), now
	if s.tokens < 1 {
		wait := (1 - s.tokens) / l.rate * float64(time.Second)
		return l.refusal(time.Duration(min(wait, math.MaxInt64/2))) // of a rate that is next to nothing it would overflow
	}
	s.tokens--
	return nil
}

func (l *limiter) filled(s *share, now time.Time) float64 {
	if s.at.IsZero() {
		return l.burst
	}
	return min(l.burst, s.tokens+now.Sub(s.at).Seconds()*l.rate)
}

func (l *limiter) share(who string) *share {
	s := l.callers[who]
	if s == nil {
		l.forgetFull()
		// A caller that has nothing is forgotten, and comes again behind those that stayed in the line: before the one that was served
		// last, and no other.
		s = &share{turn: max(l.turns, 1) - 1}
		l.callers[who] = s
	}
	return s
}

// forget keeps nobody that has nothing; of a rate, what was spent is kept.
func (l *limiter) forget(who string, s *share) {
	if l.rate == 0 && s.held == 0 && s.waiting == 0 {
		delete(l.callers, who)
	}
}

// forgetFull drops the callers that a new bucket would be no different for, once there are many.
func (l *limiter) forgetFull() {
	if l.rate == 0 || len(l.callers) < maxCallers {
		return
	}
	now := time.Now()
	for who, s := range l.callers {
		if l.filled(s, now) >= l.burst {
			delete(l.callers, who)
		}
	}
}

// refusal names what is short, and when to come again.
func (l *limiter) refusal(wait time.Duration) *apiError {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	return refuse(l.short.status, l.short.code, l.short.text).with("Retry-After", strconv.Itoa(seconds))
}

// before reports whether s is served first.
func (s *share) before(other *share) bool {
	if s.held != other.held {
		return s.held < other.held
	}
	return s.turn < other.turn
}

// pop takes the oldest that has not gone away.
func (s *share) pop() *waiter {
	for s.queue[0].gone {
		s.queue = s.queue[1:]
	}
	next := s.queue[0]
	s.queue = s.queue[1:]
	s.waiting--
	return next
}

// leave takes out those that have gone away only when they are many, because each time costs as much as all of them.
func (s *share) leave(w *waiter) {
	w.gone = true
	s.waiting--
	if len(s.queue) > 2*s.waiting { //nolint:mnd // half of them
		s.queue = slices.DeleteFunc(s.queue, func(w *waiter) bool { return w.gone })
	}
}

// limits are all that is short. Each has a pool of its own in the database, so that none of them waits for another.
type limits struct {
	rates   *limiter // requests of a key or a token
	lookups *limiter // of keys and tokens
	reads   *limiter // calls that read
	changes *limiter // calls that change something
	lists   *limiter // of active tenants
	catchUp *limiter // readings of old events, of streams
	streams *limiter
}

// streamsRetry is after how long a client that was one too many may try again.
const streamsRetry = 15 * time.Second

func newLimits(cfg Config) limits {
	room := cfg.Store.Room()
	busy := func(n int, code, what string) *limiter {
		short := what + " are short: of the " + strconv.Itoa(max(n, 1)) + " that this manager makes at once, "
		return newPlaces(n, shortage{
			status: http.StatusServiceUnavailable, code: code, again: time.Second,
			text: short + "this caller has as many as it may", others: short + "all were taken by others for too long",
		})
	}
	l := limits{
		rates:   newRate(cfg.RateLimit, shortage{status: http.StatusTooManyRequests, code: "TOO_MANY_REQUESTS", text: "requests are short: this key, or this token, makes more of them than it may each second"}),
		lookups: busy(room.Lookups, "TOO_MANY_LOOKUPS", "lookups of keys"),
		reads:   busy(room.Reads, "TOO_MANY_READS", "readings of the database"),
		changes: busy(room.Changes, "TOO_MANY_CHANGES", "changes"),
		lists:   busy(room.Lists, "TOO_MANY_LISTS", "readings of lists"),
		catchUp: busy(catchUpAtOnce(), "TOO_MANY_READS", "readings of old events"),
		streams: busy(cfg.MaxStreams, "TOO_MANY_STREAMS", ""),
	}
	l.streams.short.again = streamsRetry
	l.streams.short.others = ""
	l.streams.short.text = "streams are short: of the " + strconv.Itoa(cfg.MaxStreams) + " streams that this manager serves, this service, or this token, has as " +
		"many as it may; ask another manager, or read the list"
	return l
}

package abuse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// settle is how long an attack goes on at its full strength before the good client's requests count.
	settle = 300 * time.Millisecond
	// reachLimit is how long it may take to reach anything, and beginLimit how long to get to its full strength.
	reachLimit, beginLimit, reachEvery = 10 * time.Second, 45 * time.Second, 50 * time.Millisecond
)

// Run prepares the manager, runs each attack, and returns what was felt of each. The error says what kept it from running, or
// what it has left behind; that an attack has succeeded is in the results.
func Run(ctx context.Context, cfg Config) (results []Result, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	good, err := prepare(ctx, &cfg)
	defer func() { err = errors.Join(err, good.close(ctx, cfg.Disposable)) }()
	if err != nil {
		return nil, fmt.Errorf("prepare the manager: %w", err)
	}
	for _, a := range attacks(cfg) {
		result := measure(ctx, cfg, a, good)
		if err := ctx.Err(); err != nil {
			return results, fmt.Errorf("%s: %w", a.name, err)
		}
		results = append(results, result)
	}
	return results, nil
}

func (c Config) check() error {
	for _, name := range c.Attacks {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("there is no attack %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	return nil
}

// measure takes turns, so that what else the machine does falls on both sides.
func measure(ctx context.Context, cfg Config, a attack, good *goodClient) Result {
	var m measured
	var broken error
	for round := range cfg.Rounds {
		calm, err := m.beside(ctx, cfg, a, cfg.Decoy, good)
		broken = cmp.Or(broken, about("the decoy", err))
		hit, err := m.beside(ctx, cfg, a, cfg.Manager, good)
		broken = cmp.Or(broken, about("the manager", err))
		if ctx.Err() != nil {
			break
		}
		m.calm, m.hit = append(m.calm, calm), append(m.hit, hit)
		cfg.Told(a.name, round+1)
	}
	result := m.result(cfg.Samples)
	result.Attack = a.name
	if broken != nil {
		result.Passed, result.Problem = false, broken.Error()
	}
	return result
}

func about(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the attack on %s: %w", what, err)
}

// measured is what was felt in each round.
type measured struct {
	calm, hit       []felt
	served, refused int64 // of the attack on the manager
}

// errReachedNothing is an attack that proves nothing.
var errReachedNothing = errors.New("no answer came to any of it, so it shows nothing")

// beside lets the good client work while an attack goes on.
func (m *measured) beside(ctx context.Context, cfg Config, a attack, target Target, good *goodClient) (felt, error) {
	attacking, stop := context.WithCancel(ctx)
	defer stop()
	var reach tally
	var broken error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.run(attacking, target, &reach); attacking.Err() == nil {
			broken = err // else its time was over
		}
	}()
	err := reach.begin(ctx, ended, a.begins)
	var out felt
	if err == nil {
		working, done := context.WithTimeout(ctx, cfg.Duration)
		out = good.work(working)
		done()
	}
	stop()
	<-ended
	if err := ctx.Err(); err != nil {
		return felt{}, err
	}
	if target.URL == cfg.Manager.URL {
		m.served += reach.served.Load()
		m.refused += reach.refused.Load()
	}
	return out, cmp.Or(broken, err)
}

// begin waits until an attack goes on at its full strength. What it costs to open thousands of streams is not what is measured.
func (t *tally) begin(ctx context.Context, ended <-chan struct{}, begins int) error {
	began := time.Now()
	for ctx.Err() == nil && t.asked() < int64(begins) {
		select {
		case <-ended:
			return errReachedNothing
		default:
		}
		switch waited := time.Since(began); {
		case waited >= reachLimit && !t.reached():
			return errReachedNothing
		case waited >= beginLimit:
			return fmt.Errorf("%d of its %d requests were answered within %s, and that is not its full strength", t.asked(), begins, beginLimit)
		}
		_ = sleep(ctx, reachEvery) // the loop looks
	}
	err := sleep(ctx, settle)
	if err == nil && !t.reached() {
		return errReachedNothing
	}
	return err
}

// result judges. A round with few requests measures nothing, unless what it shows is that the attack was felt.
func (m *measured) result(samples int) Result {
	r := Result{Served: m.served, Repelled: m.refused}
	var without, with []time.Duration
	fewest, first := samples, error(nil)
	for i := range m.hit {
		without, with = append(without, percentile(m.calm[i].took)), append(with, percentile(m.hit[i].took))
		r.Felt += len(m.hit[i].took)
		r.Refused += m.hit[i].refused
		fewest = min(fewest, len(m.calm[i].took), len(m.hit[i].took))
		first = cmp.Or(first, m.hit[i].err)
		if m.calm[i].err != nil {
			r.Problem = "the good client was refused without an attack: " + m.calm[i].err.Error()
		}
	}
	r.Without, r.With = median(without), median(with)
	r.Passed = r.Refused == 0 && r.Ratio() <= Most
	if first != nil {
		r.Refusal = first.Error()
	}
	if r.Passed && fewest < samples {
		r.Problem = fmt.Sprintf("the good client made %d requests in a round, and fewer than %d say nothing of a 99th percentile", fewest, samples)
	}
	r.Passed = r.Passed && r.Problem == ""
	return r
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// percentile is the 99th; of nothing it is 0.
func percentile(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	took = slices.Sorted(slices.Values(took))
	const of, hundred = 99, 100
	return took[min(len(took)-1, len(took)*of/hundred)]
}

func median(of []time.Duration) time.Duration {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

package abuse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// settle is how long an attack goes on before the good client's requests count.
const settle = 300 * time.Millisecond

// Run prepares the manager, runs each attack, and returns what was felt of each. The error says what kept it from running;
// that an attack has succeeded is in the results.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	cfg = cfg.withDefaults()
	good, err := prepare(ctx, &cfg)
	defer good.close(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare the manager: %w", err)
	}
	var results []Result
	for _, a := range attacks(cfg) {
		result, err := measure(ctx, cfg, a, good)
		if err != nil {
			return results, fmt.Errorf("%s: %w", a.name, err)
		}
		results = append(results, result)
	}
	return results, nil
}

// measure takes turns, so that what else the machine does falls on both sides.
func measure(ctx context.Context, cfg Config, a attack, good *goodClient) (Result, error) {
	result := Result{Attack: a.name}
	var without, with []time.Duration
	for round := range cfg.Rounds {
		calm, err := beside(ctx, cfg, a, cfg.Decoy, good)
		if err != nil {
			return result, err
		}
		hit, err := beside(ctx, cfg, a, cfg.Manager, good)
		if err != nil {
			return result, err
		}
		without, with = append(without, percentile(calm.took)), append(with, percentile(hit.took))
		result.Refused += hit.refused
		result.Felt += len(hit.took)
		cfg.Told(a.name, round+1)
	}
	result.Without, result.With = median(without), median(with)
	result.Passed = result.Refused == 0 && result.Ratio() <= Most
	return result, nil
}

// beside lets the good client work while an attack goes on.
func beside(ctx context.Context, cfg Config, a attack, target Target, good *goodClient) (felt, error) {
	attacking, stop := context.WithTimeout(ctx, cfg.Duration+settle)
	defer stop()
	var running sync.WaitGroup
	var broken error
	running.Go(func() {
		if err := a.run(attacking, target); attacking.Err() == nil {
			broken = err // else its time was over, or it was repelled for as long
		}
	})
	if err := sleep(ctx, settle); err != nil {
		stop()
		running.Wait()
		return felt{}, err
	}
	working, done := context.WithTimeout(ctx, cfg.Duration)
	out := good.work(working)
	done()
	stop()
	running.Wait()
	if broken == nil && len(out.took) == 0 {
		broken = errors.New("the good client got no answer at all")
	}
	return out, errors.Join(broken, ctx.Err())
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

// percentile is the 99th.
func percentile(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	took = slices.Sorted(slices.Values(took))
	const of, hundred = 99, 100
	return took[min(len(took)-1, len(took)*of/hundred)]
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

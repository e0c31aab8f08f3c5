package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/tenantwatch/tenantwatch/tenant"
)

const simSeeds = 60

// TestEveryUnderRandomTroubles brings tenants that come, go and are reconfigured at random, in any spelling, with work that
// takes up to some intervals, fails in every way and heeds its ctx late or not at all, for longer than the grace or not. What has to hold always is in rota; at
// the end the ticks are counted, and then everybody has to be called once in each interval.
func TestEveryUnderRandomTroubles(t *testing.T) {
	for seed := range uint64(simSeeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { simulateEvery(t, rand.New(rand.NewPCG(seed, 5))) }) //nolint:gosec // a seed is what it is for
		})
	}
}

// everySim is one simulation. The fields are those of its goroutine, but for dice and calm.
type everySim struct {
	*rota

	interval time.Duration
	crowded  bool // Limit may hold some up
	active   map[string]time.Duration
	slots    int64 // how many ticks were due so far, of those that have left since

	mu   sync.Mutex
	dice *rand.Rand
	calm bool // all work returns at once
}

func simulateEvery(t *testing.T, dice *rand.Rand) {
	t.Helper()
	s := &everySim{dice: dice, active: map[string]time.Duration{}, interval: time.Duration(1+dice.IntN(3_600_000)) * time.Millisecond}
	s.crowded = dice.IntN(2) == 0
	cfg := EveryConfig{Limit: 1 << 20, StopGrace: time.Duration(1 + dice.IntN(int(s.interval)))}
	if s.crowded {
		cfg.Limit = 1 + dice.IntN(4)
	}
	if dice.IntN(2) == 0 {
		cfg.Timeout = s.interval / 3
	}
	reader := metric.NewManualReader()
	cfg.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
	s.rota = startRota(t, s.interval, cfg, s.work)
	for range 200 {
		s.step()
		time.Sleep(time.Duration(s.draw(int(s.interval/4)) + 1))
	}
	s.mu.Lock()
	s.calm = true
	s.mu.Unlock()
	time.Sleep(8 * s.interval) // whatever runs ends
	s.callsEverybodyOnceInEachInterval()
	time.Sleep(time.Millisecond)
	now := time.Since(s.began)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if s.atOnce > cfg.Limit {
		t.Errorf("%d ran at once, of %d", s.atOnce, cfg.Limit)
	}
	if s.crowded {
		return // who went while in line was neither run nor late
	}
	for key, since := range s.active {
		s.slots += s.slotsOf(key, since, now)
	}
	ran := int64(0)
	for _, starts := range s.starts {
		ran += int64(len(starts))
	}
	if late := counterOf(t, reader, "tenantwatch.worker.late"); ran+late != s.slots {
		t.Errorf("%d were run and %d late, of %d ticks", ran, late, s.slots)
	}
}

// slotsOf is how many ticks of a tenant were due after since, up to now.
func (s *everySim) slotsOf(key string, since, now time.Duration) int64 {
	slots := int64(0)
	for at := s.table.phase(key); at <= now; at += s.interval {
		if at > since {
			slots++
		}
	}
	return slots
}

func (s *everySim) draw(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dice.IntN(n)
}

// step changes something.
func (s *everySim) step() {
	key := fmt.Sprintf("%032x", s.draw(12)+10)
	id := key
	if s.draw(2) == 0 {
		id = strings.ToUpper(key[:8] + "-" + key[8:12] + "-" + key[12:16] + "-" + key[16:20] + "-" + key[20:])
	}
	now := time.Since(s.began)
	since, active := s.active[key]
	switch s.draw(4) {
	case 0, 1:
		s.add(id)
		if !active {
			s.active[key] = now
		}
	case 2:
		s.remove(id)
		if active {
			s.slots += s.slotsOf(key, since, now)
			delete(s.active, key)
		}
	default:
		if active {
			s.send(tenant.Reconfigured, id)
		}
	}
}

func (s *everySim) work(ctx context.Context, _ string) error {
	s.mu.Lock()
	kind, calm, d := s.dice.IntN(8), s.calm, time.Duration(s.dice.IntN(int(3*s.interval)))
	s.mu.Unlock()
	if calm {
		return nil
	}
	switch kind {
	case 0:
		time.Sleep(d) // heeds nothing
	case 1, 2:
		select {
		case <-ctx.Done():
			time.Sleep(d / 4)
			return ctx.Err()
		case <-time.After(d):
		}
	case 3:
		return fs.ErrInvalid
	case 4:
		panic(errors.New("boom"))
	case 5:
		runtime.Goexit()
	}
	return nil
}

func (s *everySim) callsEverybodyOnceInEachInterval() {
	const rounds = 5
	from := time.Since(s.began)
	time.Sleep(rounds * s.interval)
	for key := range s.active {
		n := 0
		for _, at := range s.startsOf(key) {
			if at > from && at <= from+rounds*s.interval {
				n++
				if (at-s.table.phase(key))%s.interval != 0 {
					s.t.Errorf("%s runs at %s, which is not its time", key, at)
				}
			}
		}
		if n != rounds {
			s.t.Errorf("%s has %d ticks in %d intervals", key, n, rounds)
		}
	}
	for key, starts := range s.starts {
		if _, active := s.active[key]; !active && len(starts) > 0 && starts[len(starts)-1] > from {
			s.t.Errorf("%s is gone, and runs", key)
		}
	}
}

package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/tenantwatch/tenantwatch/internal/test/testserver"
	"github.com/tenantwatch/tenantwatch/redisevents"
)

// countingPublisher counts how often an event was forbidden.
type countingPublisher struct {
	*redisevents.Publisher

	forbidden atomic.Int64
}

func (p *countingPublisher) PublishAll(ctx context.Context, events [][]byte) []error {
	errs := p.Publisher.PublishAll(ctx, events)
	for _, err := range errs {
		if errors.Is(err, redisevents.ErrForbidden) {
			p.forbidden.Add(1)
		}
	}
	return errs
}

// TestX39AnACLThatLacksAPatternSetsNothingAside, whether it lacks the channels of all tenants, of one, or of the only one that
// has an event: it may be mended, and the events are good.
func TestX39AnACLThatLacksAPatternSetsNothingAside(t *testing.T) {
	t.Parallel()
	for name, lacks := range map[string]struct{ tenants, allowed int }{
		"all": {2, 0}, "one": {2, 1}, "the only one": {1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testserver.StartRedis(t)
			s, _ := useStore(t, "sqlite:"+t.TempDir()+"/t.db")
			rules := []any{"ACL", "SETUSER", "manager", "on", ">secret", "resetchannels", "&tenant-heartbeat:*", "-@all", "+publish"}
			for i := range lacks.tenants {
				id := create(t, s, string(rune('a'+i)))
				if i < lacks.allowed {
					rules = append(rules, "&"+redisevents.TenantChannelName(id))
				}
			}
			server.Do(t.Context(), rules...)
			cfg := addressOf(server)
			cfg.Username, cfg.Password = "manager", "secret"
			publisher, err := redisevents.NewPublisher(redisevents.PublisherConfig{Redis: cfg, Channels: redisevents.TenantChannel})
			must(t, err)
			t.Cleanup(func() { _ = publisher.Close() })
			counting := &countingPublisher{Publisher: publisher}
			r, _ := relay(t, s, cfg, Config{Publisher: counting, Attempts: 1})
			r.Wake()
			eventually(t, "two refusals of each", func() bool {
				return counting.forbidden.Load() >= int64(2*(lacks.tenants-lacks.allowed))
			})
			if got := status(t, s); got.Quarantined != 0 || got.Pending != lacks.tenants-lacks.allowed {
				t.Errorf("%+v", got)
			}
			server.Do(t.Context(), "ACL", "SETUSER", "manager", "&tenant-events:*")
			waitUntilSent(t, s)
			if got := status(t, s); got.Quarantined != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

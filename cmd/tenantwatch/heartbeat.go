package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/tenantwatch/tenantwatch/redisevents"
)

// beat sends a heartbeat now and every interval until ctx ends.
func (s *stack) beat(ctx context.Context) {
	ticker := time.NewTicker(redisevents.HeartbeatInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		s.heartbeat(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// heartbeat tells the version up to which events were announced, or it was tried. The manager's own may be ahead of it
// for a moment, which would look like a loss.
func (s *stack) heartbeat(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, publishPatience)
	defer cancel()
	err := s.publisher.Heartbeat(bounded, s.environment, *s.announced.Load())
	if err != nil && ctx.Err() == nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a heartbeat was not published", slog.Any("error", err))
	}
}

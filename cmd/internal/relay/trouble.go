package relay

import (
	"context"
	"log/slog"
	"time"
)

// trouble is something that does not work for a while: told when it begins and when it ends, and not in between.
type trouble struct {
	since time.Time // zero while there is none
	retry retries
}

func (t *trouble) lasts() bool { return !t.since.IsZero() }

func (t *trouble) began(ctx context.Context, log *slog.Logger, what string, err error) {
	if !t.lasts() {
		t.since = time.Now()
		log.WarnContext(ctx, what, slog.Any("error", err))
	}
}

func (t *trouble) ended(ctx context.Context, log *slog.Logger, what string) {
	if t.lasts() {
		log.InfoContext(ctx, what, slog.String("after", time.Since(t.since).String()))
		*t = trouble{}
	}
}

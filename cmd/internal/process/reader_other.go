//go:build !linux

package process

import (
	"context"
	"os"
)

// WhileRead returns ctx: that nobody reads out any more shows with the next line.
func WhileRead(parent context.Context, _ *os.File) (ctx context.Context, stop func()) {
	return parent, func() {}
}

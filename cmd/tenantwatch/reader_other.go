//go:build !linux

package main

import (
	"context"
	"os"
)

// whileRead returns ctx: that nobody reads out any more shows with the next line.
func whileRead(parent context.Context, _ *os.File) (ctx context.Context, stop func()) {
	return parent, func() {}
}

//go:build !windows

package process

import "os"

// obeys reports whether the terminal has escape sequences, as all do that say nothing else.
func obeys(*os.File) bool { return os.Getenv("TERM") != "" }

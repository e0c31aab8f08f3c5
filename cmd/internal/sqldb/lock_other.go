//go:build !linux

package sqldb

import "os"

// lockData does nothing: elsewhere such a lock is in the way of SQLite's own.
func lockData(*os.File) error { return nil }

//go:build !linux && !darwin

package store

func (l *sqlite) free() (bytes uint64, known bool) { return 0, false }

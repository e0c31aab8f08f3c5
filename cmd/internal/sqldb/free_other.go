//go:build !linux && !darwin

package sqldb

func (l *sqlite) free() (bytes uint64, known bool) { return 0, false }

package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
)

const (
	writableByAll = 0o002
	openToOthers  = 0o026 // written by the group, or read or written by everybody
)

// checkMode refuses a file with a secret that everybody can put another one into, and warns of one that others can read. A
// group may read it: services have one of their own.
func checkMode(ctx context.Context, logger *slog.Logger, path string) error {
	if runtime.GOOS == "windows" { // where a file has other rights than those
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil
	case mode.Perm()&writableByAll != 0:
		return fmt.Errorf("%s can be written by everybody on this machine (mode %04o): chmod 600 it, and look whether it is still the key that was put there", shown(path), rights(mode))
	case mode.Perm()&openToOthers != 0 && logger != nil:
		logger.LogAttrs(ctx, slog.LevelWarn, "the file with the encryption key is open to others on this machine; chmod 600 it",
			slog.String("file", path), slog.String("mode", fmt.Sprintf("%04o", rights(mode))))
	}
	return nil
}

func rights(mode fs.FileMode) uint32 { return uint32(mode.Perm()) }

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// standardInput is how people call where a secret comes from.
	standardInput = "standard input"
	// maxKeyFile is the largest file with a key, a token or certificates that is read, in bytes.
	maxKeyFile = 1 << 20
	// filePatience is how long a pipe may take to bring what is read from it.
	filePatience = 5 * time.Second
)

// readSettingFile reads the whole of a file that a setting names. It waits for nothing that may never come: a pipe into
// which nobody writes is as good as empty, and one in which somebody takes too long is an error.
func readSettingFile(ctx context.Context, path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil {
		return nil, err
	} else if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", shown(path))
	}
	_ = file.SetReadDeadline(time.Now().Add(filePatience)) // files that are not pipes have none, and need none
	defer context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })()
	text, err := readBounded(file)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil:
		return nil, fmt.Errorf("%s is a pipe, and nothing came out of it for %s", shown(path), filePatience)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", shown(path), errors.Join(ctx.Err(), err))
	}
	return text, nil
}

func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if len(text) > maxKeyFile {
		err = fmt.Errorf("it has more than %d bytes, which is not a key", maxKeyFile)
	}
	return text, err
}

// readFile returns what reads a secret from a file, again for every request, so that a new one needs no restart.
func readFile(path string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		text, err := readSettingFile(ctx, path)
		if err != nil {
			return "", &secretError{err}
		}
		return secretIn(text, shown(path))
	}
}

// readOnce returns what reads a secret from standard input, which has it once.
func readOnce(stdin io.Reader) func(context.Context) (string, error) {
	read := sync.OnceValues(func() (string, error) {
		text, err := readBounded(stdin)
		if err != nil {
			return "", &secretError{fmt.Errorf("%s: %w", standardInput, err)}
		}
		return secretIn(text, standardInput)
	})
	return func(context.Context) (string, error) { return read() }
}

// secretIn is a secret without the line end that a file has.
func secretIn(text []byte, where string) (string, error) {
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", &secretError{fmt.Errorf("%s is empty, or a pipe into which nobody writes", where)}
	}
	if problem := valueProblem(secret, formSecret); problem != "" {
		return "", &secretError{fmt.Errorf("%s: its content %s", where, problem)}
	}
	return secret, nil
}

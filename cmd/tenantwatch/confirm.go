package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// asks reports whether there is somebody who can be asked.
func (std streams) asks() bool {
	in, ok := std.in.(*os.File)
	return ok && term.IsTerminal(int(in.Fd()))
}

// confirm asks for a word, which has to be typed as it is. It returns nil when it was.
func (std streams) confirm(ctx context.Context, question, word string) error {
	if _, err := fmt.Fprint(std.err, question+" "); err != nil {
		return err
	}
	typed := make(chan string, 1)
	go func() { // nothing ends the reading of a terminal but a line, or the end of the process
		line, _ := bufio.NewReader(io.LimitReader(std.in, longestValue)).ReadString('\n')
		typed <- line
	}()
	select {
	case line := <-typed:
		if strings.TrimSpace(line) == word {
			return nil
		}
	case <-ctx.Done():
		_ = std.err.line("")
	}
	return &failure{err: errNotConfirmed, advice: "Nothing was changed."}
}

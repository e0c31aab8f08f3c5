package redisevents

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	confirmation          = "*3\r\n$9\r\nsubscribe\r\n$22\r\ntenant-events:staging:\r\n:1\r\n"
	heartbeatConfirmation = "*3\r\n$9\r\nsubscribe\r\n$24\r\ntenant-heartbeat:staging\r\n:2\r\n"
)

// fakeServer makes the feed talk to a script instead of a server. It speaks RESP2 like a server too old for HELLO,
// confirms both subscriptions unless confirm is false, and then plays the script, which gets the lines that the client
// sends. The connection is closed after it.
func fakeServer(t testing.TB, feed *PubSub, confirm bool, script func(conn net.Conn, lines *bufio.Scanner)) {
	t.Helper()
	feed.dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer func() { _ = server.Close() }()
			lines := bufio.NewScanner(server)
			if !serveUntilSubscribe(server, lines) {
				return
			}
			if confirm {
				_, _ = server.Write([]byte(confirmation))
				if !serveUntilSubscribe(server, lines) {
					return
				}
				_, _ = server.Write([]byte(heartbeatConfirmation))
			}
			script(server, lines)
		}()
		return client, nil
	}
}

// serveUntilSubscribe knows no other command, and quotes the arguments of what it does not know, as old servers do.
func serveUntilSubscribe(conn net.Conn, lines *bufio.Scanner) bool {
	for {
		command := readCommand(lines)
		switch {
		case len(command) == 0:
			return false
		case strings.EqualFold(command[0], "subscribe"):
			return true
		}
		_, _ = fmt.Fprintf(conn, "-ERR unknown command %q, with args beginning with: %q\r\n", command[0], command[1:])
	}
}

// readCommand returns the words of one command, or nothing at the end of the connection.
func readCommand(lines *bufio.Scanner) []string {
	if !lines.Scan() {
		return nil
	}
	words, _ := strconv.Atoi(strings.TrimPrefix(lines.Text(), "*"))
	var command []string
	for range words {
		lines.Scan() // the length
		lines.Scan() // the word
		command = append(command, lines.Text())
	}
	return command
}

// waitForClient reads until the client closes the connection.
func waitForClient(_ net.Conn, lines *bufio.Scanner) {
	for len(readCommand(lines)) > 0 {
		continue
	}
}

func answerPings(conn net.Conn, lines *bufio.Scanner) {
	for len(readCommand(lines)) > 0 {
		_, _ = conn.Write([]byte("*2\r\n$4\r\npong\r\n$0\r\n\r\n"))
	}
}

// acceptAll listens until the end of the test, has each connection served, with its number from 1 on, and closes it then. It
// returns the address.
func acceptAll(t testing.TB, serve func(conn net.Conn, number int)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); work.Wait() })
	work.Go(func() {
		for number := 1; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(conn, number)
			})
		}
	})
	return listener.Addr().String()
}

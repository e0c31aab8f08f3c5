package redisevents

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/tenant"
)

// TestD21WhatTheServerAnswers: each of these ends the session with the reason, and does not make a hot loop.
func TestD21WhatTheServerAnswers(t *testing.T) {
	tests := []struct {
		says string
		want error
	}{
		{"-LOADING Redis is loading the dataset in memory", ErrRefused},
		{"-READONLY You can't write against a read only replica.", ErrRefused},
		{"-NOPERM this user has no permissions to run the 'xread' command", ErrRefused},
		{"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ErrRefused},
		{"-WRONGTYPE Operation against a key holding the wrong kind of value", ErrRefused},
		{"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", ErrRefused},
		{":1", nil},
		{"*9223372036854775807", ErrProtocol},
		{"*1\r\n*2\r\n$1\r\nx\r\n*2\r\n$1\r\na\r\n$1\r\nb", ErrProtocol},
		{"HTTP/1.1 400 Bad Request", nil},
	}
	for _, tt := range tests {
		t.Run(strings.Fields(tt.says)[0], func(t *testing.T) {
			feed := newStream(t, Config{Host: "fake", SilenceLimit: shortLimit}, environment)
			script(t, feed, func([]string) string { return tt.says })
			var got recorder
			listen(t, feed, got.sink)
			for _, lost := range got.wait(t, tenant.SignalLost, 3) {
				if lost.Err == nil || tt.want != nil && !errors.Is(lost.Err, tt.want) {
					t.Errorf("lost: %v, want %v", lost.Err, tt.want)
				}
				if tt.want == ErrRefused && !strings.Contains(lost.Err.Error(), tt.says[1:]) { //nolint:errorlint // which of the table's rows it is
					t.Errorf("lost: %v, without Redis' words", lost.Err)
				}
			}
			if n := got.count(tenant.SignalSubscribed); n != 0 {
				t.Errorf("told %d times of a subscription", n)
			}
		})
	}
}

// TestAServerThatDoesNotWait answers a blocking read at once with nothing, as Redis before 5.0.5 does for an empty stream.
func TestAServerThatDoesNotWait(t *testing.T) {
	feed := newStream(t, Config{Host: "fake", SilenceLimit: soon}, environment)
	asked := make(chan string, 1000)
	script(t, feed, func(command []string) string {
		if command[0] == "xread" {
			asked <- command[0]
		}
		return "*0"
	})
	var got recorder
	stop := listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	eventually(t, "a read that waits", func() bool { return len(asked) >= 2 })
	stop()
	if n := len(asked); n > 3 {
		t.Errorf("%d reads", n)
	}
}

// TestABatchThatTheLinkCannotCarry: it asks for fewer entries after each time that nothing came.
func TestABatchThatTheLinkCannotCarry(t *testing.T) {
	feed := newStream(t, Config{Host: "fake", SilenceLimit: 50 * time.Millisecond}, environment)
	script(t, feed, func(command []string) string {
		i := slices.Index(command, "count")
		switch n, _ := strconv.Atoi(command[i+1]); {
		case command[0] != "xread":
			return "*0"
		case n > 4:
			return ""
		default:
			return "*-1"
		}
	})
	var got recorder
	listen(t, feed, got.sink)
	got.wait(t, tenant.SignalSubscribed, 1)
	if n := got.count(tenant.SignalLost); n < 2 || n > 3 {
		t.Errorf("subscribed after %d attempts", n)
	}
}

// script makes the feed talk to a function, which gets each command of streams and returns the answer without its end, or
// nothing for none.
func script(t testing.TB, feed *Stream, answer func(command []string) string) {
	t.Helper()
	feed.dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer func() { _ = server.Close() }()
			lines, silent := bufio.NewScanner(server), false
			for command := readCommand(lines); len(command) > 0; command = readCommand(lines) {
				text := "-ERR unknown command"
				if strings.HasPrefix(command[0], "x") {
					text = answer(command)
				}
				if silent = silent || text == ""; !silent { // what comes later would be taken for the answer that is missing
					_, _ = fmt.Fprintf(server, "%s\r\n", text)
				}
			}
		}()
		return client, nil
	}
}

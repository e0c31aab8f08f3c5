package redisevents

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// scriptedServer is a server that answers a publisher by a function. It knows PUBLISH and XADD, and takes the rest for unknown
// commands, as a server too old for HELLO.
type scriptedServer struct {
	// answer is called with the number of the connection and the words of the command, under the lock of the commands.
	answer func(connection int, words []string) string

	info string // what it answers to INFO; empty is that it does not know it

	mu       sync.Mutex
	accepted int
	commands [][]string // that answer was asked for
}

func (s *scriptedServer) start(t testing.TB) Config {
	t.Helper()
	addr := acceptAll(t, func(conn net.Conn, number int) {
		s.mu.Lock()
		s.accepted++
		s.mu.Unlock()
		s.serve(conn, number)
	})
	host, port, _ := net.SplitHostPort(addr)
	return Config{Host: host, Port: port}
}

func (s *scriptedServer) serve(conn net.Conn, number int) {
	lines := bufio.NewScanner(conn)
	for {
		command := readCommand(lines)
		if len(command) == 0 {
			return
		}
		answer := fmt.Sprintf("-ERR unknown command %q\r\n", command[0])
		switch name := strings.ToLower(command[0]); {
		case name == "publish" || name == "xadd":
			answer = s.reply(number, command)
		case name == "info" && s.info != "":
			answer = fmt.Sprintf("$%d\r\n%s\r\n", len(s.info), s.info)
		}
		_, _ = conn.Write([]byte(answer))
	}
}

func (s *scriptedServer) reply(number int, command []string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, command)
	return s.answer(number, command)
}

// count returns how many of a command came so far. It is for answer, which has the lock.
func (s *scriptedServer) count(name string) int {
	n := 0
	for _, command := range s.commands {
		if strings.EqualFold(command[0], name) {
			n++
		}
	}
	return n
}

func (s *scriptedServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// scene is one request and what comes of it. In a golden file a line of it begins with "> " in the request and with "< " in
// the answer; "* " is a channel that an event is heard on, and "= " the event itself. What differs from run to run is a
// word in braces. A request has the key of ledger and, unless it only reads, the token; a header with the value - is left
// out. -update writes everything again but the requests.
type scene struct {
	remarks string // the lines before it
	call    string // method and target
	headers map[string]string
	body    string

	status      int
	contentType string
	answer      string
	events      []message
}

// message is an event as it was heard.
type message struct {
	channels []string
	data     string
	raw      string // as it came, with what differs; not in files
}

// parseScenes reads a golden file. What has no answer yet gets one by -update.
func parseScenes(t *testing.T, text string) []scene {
	t.Helper()
	var scenes []scene
	var remarks strings.Builder
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		mark, rest, _ := strings.Cut(line, " ")
		switch {
		case mark == "#" || line == "":
			remarks.WriteString(line + "\n")
			continue
		case mark == ">" && remarks.Len() > 0:
			scenes = append(scenes, scene{remarks: remarks.String(), call: rest, headers: map[string]string{}})
			remarks.Reset()
			continue
		case len(scenes) == 0 || remarks.Len() > 0 || !scenes[len(scenes)-1].add(mark, rest):
			t.Fatalf("line %d cannot be there: %q", i+1, line)
		}
	}
	return scenes
}

// add takes in a line that is not the first of its scene.
func (s *scene) add(mark, rest string) bool {
	switch mark {
	case ">":
		name, value, ok := strings.Cut(rest, ": ")
		if !ok || strings.HasPrefix(rest, "{") {
			s.body = rest
			return true
		}
		s.headers[name] = value
	case "<":
		status, err := strconv.Atoi(rest)
		switch kind, ok := strings.CutPrefix(rest, "Content-Type: "); {
		case err == nil && s.status == 0:
			s.status = status
		case ok:
			s.contentType = kind
		default:
			s.answer = rest
		}
	case "*":
		if last := len(s.events) - 1; last < 0 || s.events[last].data != "" {
			s.events = append(s.events, message{})
		}
		last := &s.events[len(s.events)-1]
		last.channels = append(last.channels, rest)
	case "=":
		if len(s.events) == 0 {
			return false
		}
		s.events[len(s.events)-1].data = rest
	default:
		return false
	}
	return true
}

func formatScenes(scenes []scene) string {
	var text strings.Builder
	for _, s := range scenes {
		text.WriteString(s.remarks + s.String() + s.outcome())
	}
	return text.String()
}

// String is the request.
func (s *scene) String() string {
	var text strings.Builder
	text.WriteString("> " + s.call + "\n")
	for _, name := range slices.Sorted(maps.Keys(s.headers)) {
		text.WriteString("> " + name + ": " + s.headers[name] + "\n")
	}
	if s.body != "" {
		text.WriteString("> " + s.body + "\n")
	}
	return text.String()
}

// outcome is what came of it.
func (s *scene) outcome() string {
	var text strings.Builder
	fmt.Fprintf(&text, "< %d\n", s.status)
	if s.contentType != "" {
		text.WriteString("< Content-Type: " + s.contentType + "\n")
	}
	if s.answer != "" {
		text.WriteString("< " + s.answer + "\n")
	}
	for _, event := range s.events {
		for _, channel := range event.channels {
			text.WriteString("* " + channel + "\n")
		}
		text.WriteString("= " + event.data + "\n")
	}
	return text.String()
}

// heardOn leaves of what both kinds of channels carry the one kind: the name of an environment's ends with a colon.
func heardOn(events []message, kind string) []message {
	if kind == "both" {
		return events
	}
	var out []message
	for _, event := range events {
		event.channels = slices.DeleteFunc(slices.Clone(event.channels), func(channel string) bool {
			return strings.HasSuffix(channel, ":") != (kind == "env")
		})
		out = append(out, event)
	}
	return out
}

package redisevents

import (
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func entries(ids ...string) []redis.XMessage {
	var all []redis.XMessage
	for _, id := range ids {
		all = append(all, redis.XMessage{ID: id})
	}
	return all
}

func TestCursorAdvances(t *testing.T) {
	on := func(ms uint64) cursor { return cursor{placed: true, id: streamID{ms, 0}, stands: true, batch: 2} }
	off := func(ms uint64) cursor { return cursor{placed: true, id: streamID{ms, 0}, batch: 2} }
	const gone = "entry 5-0, the last that was read, is gone"
	lost := cursor{placed: true, id: streamID{5, 0}, gap: gone, batch: 2}
	tests := []struct {
		name  string
		from  cursor
		look  look
		want  cursor
		gap   string
		waits bool
	}{
		{"nothing new", on(5), look{nil, entries("5-0")}, on(5), "", true},
		{"news", on(5), look{entries("6-0", "7-0"), entries("5-0")}, cursor{placed: true, id: streamID{7, 0}, stands: true, batch: 4}, "", true},
		{"trimmed past", on(5), look{entries("9-0"), nil}, on(9), "entry 5-0", true},
		{"gone, and nothing new", on(5), look{nil, nil}, lost, "", false},
		{"gone: an empty stream or none", lost, look{nil, nil}, off(0), gone, true},
		{"gone: the stream ends before", lost, look{nil, entries("3-0")}, on(3), "ends at 3-0, before 5-0", true},
		{"gone: something newer has just come", lost, look{nil, entries("8-0")}, lost, "", false},
		{"gone: something newer", lost, look{entries("8-0"), entries("8-0")}, on(8), gone, true},
		{"there was none: still none", off(0), look{nil, nil}, off(0), "", true},
		{"there was none: the first", off(0), look{entries("1-0"), entries("1-0")}, on(1), "", true},
		{"there was none: many", off(0), look{entries("1-0", "2-0"), entries("2-0")}, cursor{placed: true, id: streamID{2, 0}, stands: true, batch: 4}, "at once", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.from
			gap, err := c.advance(tt.look)
			if err != nil || c != tt.want || (gap == "") != (tt.gap == "") || !strings.Contains(gap, tt.gap) || c.waits() != tt.waits {
				t.Errorf("%+v, waits %v, gap %q, %v; want %+v, gap %q", c, c.waits(), gap, err, tt.want, tt.gap)
			}
		})
	}
}

func TestCursorRefusesIdsThatAreNone(t *testing.T) {
	for _, id := range []string{"", "-", "5", "5-", "x-1", "1-x", "18446744073709551616-0", "-1-1"} {
		c := cursor{placed: true, id: streamID{5, 0}, stands: true, batch: 1}
		before := c
		if _, err := c.advance(look{entries(id), entries("5-0")}); !errors.Is(err, ErrProtocol) || c != before {
			t.Errorf("%q: %v, cursor %+v", id, err, c)
		}
		if err := c.place(entries(id)); !errors.Is(err, ErrProtocol) || c != before {
			t.Errorf("%q: %v, cursor %+v", id, err, c)
		}
	}
}

func TestStreamIDs(t *testing.T) {
	largest := "18446744073709551615-18446744073709551615"
	id, err := parseStreamID(largest)
	if err != nil || id.String() != largest {
		t.Errorf("%s, %v", id, err)
	}
	ordered := []streamID{{0, 0}, {0, 1}, {1, 0}, {1, 9}, {2, 0}, id}
	for i, a := range ordered {
		for j, b := range ordered {
			if a.before(b) != (i < j) {
				t.Errorf("%s before %s: %v", a, b, a.before(b))
			}
		}
	}
}

func TestCursorFitsItsBatch(t *testing.T) {
	c := cursor{batch: maxBatch}
	for range 5 {
		c.shrink()
	}
	if c.batch != 1 {
		t.Errorf("shrunk to %d", c.batch)
	}
	c.grow(nil)
	for range 20 {
		c.grow(make([]redis.XMessage, c.batch))
	}
	if c.batch != maxBatch {
		t.Errorf("grown to %d", c.batch)
	}
}

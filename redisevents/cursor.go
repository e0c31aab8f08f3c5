package redisevents

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const (
	// maxBatch is how many entries one read asks for at most.
	maxBatch = 64
	// maxAnswer is how much one read may bring, where it asks for more than one entry.
	maxAnswer = 32 << 20
	// goodAnswer is how much one read is to bring, by what the last one brought for each entry.
	goodAnswer = 8 << 20
)

// streamID is the id of an entry. The zero value is before every entry.
type streamID struct{ ms, seq uint64 }

func parseStreamID(text string) (streamID, error) {
	before, after, _ := strings.Cut(text, "-")
	ms, err := strconv.ParseUint(before, 10, 64)
	if err != nil {
		return streamID{}, fmt.Errorf("%w: entry id %.80q", ErrProtocol, text)
	}
	seq, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		return streamID{}, fmt.Errorf("%w: entry id %.80q", ErrProtocol, text)
	}
	return streamID{ms, seq}, nil
}

// String is the id as Redis writes it.
func (id streamID) String() string { return fmt.Sprintf("%d-%d", id.ms, id.seq) }

func (id streamID) before(other streamID) bool {
	return id.ms < other.ms || id.ms == other.ms && id.seq < other.seq
}

// cursor is how far a Run has read. It is pure: it says what to ask for and judges the answers.
type cursor struct {
	placed bool     // it has a place in the stream; nothing was asked yet otherwise
	id     streamID // everything up to it was delivered, or was there before
	stands bool     // there was an entry with this id
	gap    string   // that is to be told once it is clear where to go on
	batch  int      // how many entries to ask for
}

// look is the answer to one read: the entries behind the cursor and, looked up after them, the entry that the cursor
// stands on or, when it stands on none, the newest of the stream.
type look struct {
	entries, found []redis.XMessage
}

// place puts the cursor behind the newest entry.
func (c *cursor) place(found []redis.XMessage) error {
	next := cursor{placed: true, batch: c.batch}
	if len(found) > 0 {
		id, err := parseStreamID(found[0].ID)
		if err != nil {
			return err
		}
		next.id, next.stands = id, true
	}
	*c = next
	return nil
}

// waits reports whether the cursor is where new entries will come behind it, so that a read may wait for them.
func (c *cursor) waits() bool { return c.stands || c.id == streamID{} }

// advance moves the cursor by what a read has brought. It returns why entries may have been missed, empty if none were.
// An entry that is gone is told of only when it is known where to go on: whoever hears of it may write again at once.
func (c *cursor) advance(l look) (gap string, err error) {
	from := *c
	if from.stands && len(l.found) == 0 {
		c.stands, c.gap = false, fmt.Sprintf("entry %s, the last that was read, is gone", from.id)
	}
	switch n := len(l.entries); {
	case n > 0:
		last, err := parseStreamID(l.entries[n-1].ID)
		if err != nil {
			*c = from
			return "", err
		}
		if !from.stands && n >= from.batch {
			c.gap = fmt.Sprintf("%d entries or more came at once, with none before them to show that it is all", n)
		}
		c.id, c.stands = last, true
		c.grow(l.entries)
	case from.stands:
		return "", nil
	default:
		if settled, err := c.settle(l.found); err != nil || !settled {
			return "", err
		}
	}
	gap, c.gap = c.gap, ""
	return gap, nil
}

// settle is for a cursor that stands on no entry and has none behind it. It is not settled when there is one by now.
func (c *cursor) settle(newest []redis.XMessage) (settled bool, err error) {
	if len(newest) == 0 {
		c.id = streamID{}
		return true, nil
	}
	id, err := parseStreamID(newest[0].ID)
	if err != nil || c.id.before(id) {
		return false, err
	}
	c.gap = fmt.Sprintf("the stream ends at %s, before %s: it is another one, or an older copy", id, c.id)
	c.id, c.stands = id, true
	return true, nil
}

// grow and shrink fit the size of a batch to what arrives within the silence limit, and to how large the entries are.
func (c *cursor) grow(got []redis.XMessage) {
	if len(got) == 0 {
		return
	}
	size := 0
	for _, entry := range got {
		for name, value := range entry.Values {
			text, _ := value.(string)
			size += len(name) + len(text)
		}
	}
	if len(got) >= c.batch {
		c.batch = min(2*c.batch, maxBatch)
	}
	c.batch = max(1, min(c.batch, goodAnswer/(size/len(got)+1)))
}

func (c *cursor) shrink() { c.batch = max(c.batch/4, 1) }

// budget is how much the answer to one read may be. That for a single entry has it twice, the second time as the proof.
func (c *cursor) budget() int64 {
	if c.batch > 1 {
		return maxAnswer
	}
	return 3 * maxBulk
}

package moderation

import (
	"encoding/binary"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// parts is into how many parts a counter's window is cut.
const parts = 12

// counter is a windowed counter: Sums[i] is what was added in the part of number n with n mod parts = i, for the parts that end with Last.
type counter struct {
	Width int64        `cbor:"1,keyasint"` // of a part, in ms
	Last  int64        `cbor:"2,keyasint"` // number of the newest part: its time divided by Width
	Sums  [parts]int64 `cbor:"3,keyasint"`
}

// add adds to the part that a time falls into, and returns the sum over the window that ends with it. Times may go back: what is older
// than the newest window is not counted.
func (c *counter) add(delta int64, window time.Duration, at time.Time) int64 {
	width := max(window.Milliseconds()/parts, 1)
	if c.Width != width {
		*c = counter{Width: width, Last: at.UnixMilli() / width}
	}
	now := at.UnixMilli() / width
	if now > c.Last {
		for n := max(c.Last+1, now-parts+1); n <= now; n++ {
			c.Sums[slot(n)] = 0
		}
		c.Last = now
	}
	if now > c.Last-parts {
		c.Sums[slot(now)] += delta
	}
	var sum int64
	for n := max(now, c.Last-parts+1) - parts + 1; n <= now; n++ {
		if n > c.Last-parts {
			sum += c.Sums[slot(n)]
		}
	}
	return sum
}

func slot(part int64) int { return int(((part % parts) + parts) % parts) }

// counters is the rules' memory while one item of a slot's author is judged: it commits with the decision.
type counters struct {
	tx   *shard.Tx
	slot ticketing.Slot
}

// AddCounter implements ticketing.RuleState.
func (c *counters) AddCounter(rule string, ns uint32, key []byte, delta int64, window time.Duration, at time.Time) int64 {
	k := shard.KeyAt(tableCounter, c.slot, []byte(rule), []byte{0}, binary.BigEndian.AppendUint32(nil, ns), key)
	var n counter
	c.tx.Get(k, &n)
	sum := n.add(delta, window, at)
	c.tx.Put(k, &n)
	return sum
}

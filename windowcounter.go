package ticketing

import "time"

// windowParts is into how many parts a counter's window is cut.
const windowParts = 12

// WindowCounter counts over a window of time that ends at the newest addition. Sums[i] is what was added in the part of
// number n with n mod 12 = i, for the parts that end with Last. The zero value is empty.
type WindowCounter struct {
	Width int64              `cbor:"1,keyasint"` // of a part, in ms
	Last  int64              `cbor:"2,keyasint"` // number of the newest part: its time divided by Width
	Sums  [windowParts]int64 `cbor:"3,keyasint"`
}

// Add adds to the part that a time falls into, and returns the sum over the window that ends with it. Times may go back: what is older
// than the newest window is not counted.
func (c *WindowCounter) Add(delta int64, window time.Duration, at time.Time) int64 {
	width := max(window.Milliseconds()/windowParts, 1)
	if c.Width != width {
		*c = WindowCounter{Width: width, Last: at.UnixMilli() / width}
	}
	now := at.UnixMilli() / width
	if now > c.Last {
		for n := max(c.Last+1, now-windowParts+1); n <= now; n++ {
			c.Sums[windowSlot(n)] = 0
		}
		c.Last = now
	}
	if now > c.Last-windowParts {
		c.Sums[windowSlot(now)] += delta
	}
	var sum int64
	if now == c.Last { // as nearly always: every part counts
		for _, s := range c.Sums {
			sum += s
		}
		return sum
	}
	for n := max(now, c.Last-windowParts+1) - windowParts + 1; n <= now; n++ {
		if n > c.Last-windowParts {
			sum += c.Sums[windowSlot(n)]
		}
	}
	return sum
}

// Ended reports whether nothing of what was added is in a window that ends at a time, or later.
func (c *WindowCounter) Ended(at time.Time) bool {
	return c.Width < 1 || at.UnixMilli()/c.Width >= c.Last+windowParts
}

func windowSlot(part int64) int { return int(((part % windowParts) + windowParts) % windowParts) }

package ticketing_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"ticketing"
)

// The sum lies between what happened in 11/12 of the window and in the whole of it, for times that never go back.
func TestCounterWindow(t *testing.T) {
	const window = 60 * time.Second
	rng := rand.New(rand.NewPCG(1, 2))
	var c ticketing.WindowCounter
	var times []time.Time
	at := time.UnixMilli(1_700_000_000_000)
	for range 5000 {
		at = at.Add(time.Duration(rng.IntN(4000)) * time.Millisecond)
		times = append(times, at)
		got := c.Add(1, window, at)
		var least, most int64
		for _, h := range times {
			if age := at.Sub(h); age < window {
				most++
				if age < window*11/12 {
					least++
				}
			}
		}
		if got < least || got > most {
			t.Fatalf("at %v: sum %d, want %d…%d", at, got, least, most)
		}
	}
}

// Imported history may go back in time: an item counts the ones around its own time, and what is older than the newest window is not kept.
func TestCounterGoesBack(t *testing.T) {
	const window = 12 * time.Second
	at := time.UnixMilli(1_700_000_000_000)
	var c ticketing.WindowCounter
	for _, tc := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {5 * time.Second, 2}, {2 * time.Second, 2}, {6 * time.Second, 4}, {-time.Hour, 0}, {time.Hour, 1}} {
		if got := c.Add(1, window, at.Add(tc.after)); got != tc.want {
			t.Errorf("at %v: %d, want %d", tc.after, got, tc.want)
		}
	}
}

// Another window under the same key begins anew.
func TestCounterNewWindow(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	var c ticketing.WindowCounter
	c.Add(5, time.Minute, at)
	if got := c.Add(1, time.Hour, at); got != 1 {
		t.Errorf("%d, want 1", got)
	}
	if got := c.Add(-1, time.Hour, at); got != 0 {
		t.Errorf("%d, want 0", got)
	}
}

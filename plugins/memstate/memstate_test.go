package memstate_test

import (
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/memstate"
)

// What was written since a mark is taken back exactly, whatever it was written over; what was before it stays.
func TestRewindIsExact(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	s := memstate.New()
	s.AddCounter("r", 1, []byte("k"), 5, time.Minute, at)
	s.SetValue("r", []byte("v"), []byte("one"), 0, at)
	s.SetValue("r", []byte("gone"), []byte("x"), time.Second, at)
	s.Settle()
	for range 3 {
		mark := s.Mark()
		s.AddCounter("r", 1, []byte("k"), 7, time.Hour, at) // another window begins anew, and must come back
		s.AddCounter("r", 2, []byte("k"), 1, time.Minute, at)
		s.SetValue("r", []byte("v"), nil, 0, at)
		s.SetValue("r", []byte("gone"), []byte("y"), 0, at)
		s.SetValue("r", []byte("new"), []byte("z"), 0, at)
		s.Rewind(mark)
	}
	if got, _ := s.AddCounter("r", 1, []byte("k"), 0, time.Minute, at); got != 5 {
		t.Errorf("counter %d, want 5", got)
	}
	if v, ok := s.Value("r", []byte("v"), at); !ok || string(v) != "one" {
		t.Errorf("value %q %v", v, ok)
	}
	if _, ok := s.Value("r", []byte("new"), at); ok || s.Len() != 3 {
		t.Errorf("something stayed: %d entries", s.Len())
	}
}

// A full memory takes nothing new until something in it has ended, and what a rewind takes back leaves its room.
func TestMemoryHasABound(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	s := memstate.New()
	value := make([]byte, 4096)
	fill := func(ttl time.Duration) (n int) {
		for s.SetValue("r", []byte{'v', byte(n), byte(n >> 8)}, value, ttl, at) {
			n++
		}
		return n
	}
	mark := s.Mark()
	n := fill(0)
	if want := ticketing.MaxRuleMemory / ticketing.ValueSize([]byte("v.."), value); n != want {
		t.Errorf("%d values, want %d", n, want)
	}
	s.Rewind(mark)
	if again := fill(time.Minute); again != n {
		t.Errorf("%d values after a rewind, want %d", again, n)
	}
	if !s.SetValue("other", []byte("k"), value, 0, at) || !s.SetValue("r", []byte{'v', 0, 0}, value[:9], time.Minute, at) {
		t.Error("another rule is concerned, or a value cannot be made shorter")
	}
	s.Settle()
	at = at.Add(time.Minute)
	mark = s.Mark()
	if again := fill(0); again != n {
		t.Errorf("%d values after the others have ended, want %d", again, n)
	}
	s.Rewind(mark)
	if s.Len() != n+1 {
		t.Errorf("%d values came back, want %d", s.Len(), n+1)
	}
}

// A value ends at its time, and another rule never sees it.
func TestValueEndsAndIsPrivate(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	s := memstate.New()
	s.SetValue("a", []byte("k"), []byte("v"), time.Second, at)
	if _, ok := s.Value("a", []byte("k"), at.Add(999*time.Millisecond)); !ok {
		t.Error("ended early")
	}
	if _, ok := s.Value("a", []byte("k"), at.Add(time.Second)); ok {
		t.Error("did not end")
	}
	if _, ok := s.Value("b", []byte("k"), at); ok {
		t.Error("another rule sees it")
	}
}

// Package memstate is a rule's memory outside of a server: for golden tests, backtests and replays. It behaves as a
// moderation shard's does, and nothing of it stays.
package memstate

import (
	"bytes"
	"encoding/binary"
	"time"

	"ticketing"
)

// State is a ticketing.RuleState in memory. It is for one goroutine. Use New.
type State struct {
	counters map[string]*counter
	values   map[string]value
	used     map[string]*use // by rule
	undo     []change
	key      []byte // scratch
}

type counter struct {
	key string // in the map
	ticketing.WindowCounter
	use  *use
	size int
}

// use is how much a rule has stored.
type use struct {
	bytes   int
	emptied bool // what had ended was removed for the present item
}

// A change is what was there before something was written.
type change struct {
	key     string // of the value, if counter is nil
	had     bool   // there was something
	use     *use   // of the rule
	bytes   int    // that the rule's memory grew by
	value   value
	counter *counter
	before  ticketing.WindowCounter
}

type value struct {
	bytes []byte
	until time.Time // zero: for good
	use   *use
	size  int
}

var _ ticketing.RuleState = (*State)(nil)

// New returns an empty state.
func New() *State {
	return &State{counters: map[string]*counter{}, values: map[string]value{}, used: map[string]*use{}}
}

// Reset forgets everything.
func (s *State) Reset() {
	clear(s.counters)
	clear(s.values)
	clear(s.used)
	s.undo = s.undo[:0]
}

// Settle keeps what was written: marks of before end, and what they could have taken back is let go. Call it after each item.
func (s *State) Settle() {
	clear(s.undo)
	s.undo = s.undo[:0]
	for _, u := range s.used {
		u.emptied = false
	}
}

// AddCounter implements ticketing.RuleState.
func (s *State) AddCounter(rule string, ns uint32, key []byte, delta int64, window time.Duration, at time.Time) (int64, bool) {
	s.key = append(append(s.key[:0], rule...), 0)
	s.key = append(binary.BigEndian.AppendUint32(s.key, ns), key...)
	c, ok := s.counters[string(s.key)]
	grown := 0
	if !ok {
		c = &counter{key: string(s.key), use: s.useOf(rule), size: ticketing.CounterSize(key)}
		if grown = c.size; !s.grow(c.use, grown, at) {
			return 0, false
		}
		s.counters[c.key] = c
	}
	s.undo = append(s.undo, change{had: ok, use: c.use, bytes: grown, counter: c, before: c.WindowCounter})
	return c.Add(delta, window, at), true
}

func (s *State) useOf(rule string) *use {
	u := s.used[rule]
	if u == nil {
		u = new(use)
		s.used[rule] = u
	}
	return u
}

// grow counts bytes that a rule wants to store, and reports whether it may. A memory that is full is rid of what has ended, once for an item.
func (s *State) grow(u *use, by int, at time.Time) bool {
	if by > 0 && u.bytes+by > ticketing.MaxRuleMemory && !u.emptied {
		u.emptied = true
		s.empty(u, at)
	}
	if by > 0 && u.bytes+by > ticketing.MaxRuleMemory {
		return false
	}
	u.bytes += by
	return true
}

// empty removes what has ended of a rule's memory.
func (s *State) empty(u *use, at time.Time) {
	for k, c := range s.counters {
		if c.use == u && c.Ended(at) {
			s.undo = append(s.undo, change{had: true, use: u, bytes: -c.size, counter: c, before: c.WindowCounter})
			u.bytes -= c.size
			delete(s.counters, k)
		}
	}
	for k, v := range s.values {
		if v.use == u && v.ended(at) {
			s.undo = append(s.undo, change{key: k, had: true, use: u, bytes: -v.size, value: v})
			u.bytes -= v.size
			delete(s.values, k)
		}
	}
}

func valueKey(rule string, key []byte) string { return rule + "\x00" + string(key) }

// Value implements ticketing.RuleState.
func (s *State) Value(rule string, key []byte, at time.Time) ([]byte, bool) {
	v, ok := s.values[valueKey(rule, key)]
	if !ok || v.ended(at) {
		return nil, false
	}
	return v.bytes, true
}

func (v *value) ended(at time.Time) bool { return !v.until.IsZero() && !at.Before(v.until) }

// SetValue implements ticketing.RuleState.
func (s *State) SetValue(rule string, key, val []byte, ttl time.Duration, at time.Time) bool {
	k, u := valueKey(rule, key), s.useOf(rule)
	old, ok := s.values[k]
	if val == nil {
		u.bytes -= old.size
		delete(s.values, k)
		s.undo = append(s.undo, change{key: k, had: ok, use: u, bytes: -old.size, value: old})
		return true
	}
	v := value{bytes: bytes.Clone(val), use: u, size: ticketing.ValueSize(key, val)}
	if !s.grow(u, v.size-old.size, at) {
		return false
	}
	if ttl > 0 {
		v.until = at.Add(ttl)
	}
	s.values[k] = v
	s.undo = append(s.undo, change{key: k, had: ok, use: u, bytes: v.size - old.size, value: old})
	return true
}

// Len is how many counters and values there are.
func (s *State) Len() int { return len(s.counters) + len(s.values) }

// Mark implements ticketing.RuleState.
func (s *State) Mark() int { return len(s.undo) }

// Rewind implements ticketing.RuleState.
func (s *State) Rewind(mark int) {
	for i := len(s.undo) - 1; i >= mark; i-- {
		s.takeBack(&s.undo[i])
	}
	clear(s.undo[mark:])
	s.undo = s.undo[:mark]
}

func (s *State) takeBack(c *change) {
	c.use.bytes -= c.bytes
	switch {
	case c.counter != nil && c.had:
		c.counter.WindowCounter = c.before
		s.counters[c.counter.key] = c.counter
	case c.counter != nil:
		delete(s.counters, c.counter.key)
	case c.had:
		s.values[c.key] = c.value
	default:
		delete(s.values, c.key)
	}
}

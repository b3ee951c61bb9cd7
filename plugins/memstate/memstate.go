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
	undo     []change
	key      []byte // scratch
}

type counter struct {
	key string // in the map
	ticketing.WindowCounter
}

// A change is what was there before something was written.
type change struct {
	key     string // of the value, if counter is nil
	had     bool   // there was something
	value   value
	counter *counter
	before  ticketing.WindowCounter
}

type value struct {
	bytes []byte
	until time.Time // zero: for good
}

var _ ticketing.RuleState = (*State)(nil)

// New returns an empty state.
func New() *State {
	return &State{counters: map[string]*counter{}, values: map[string]value{}}
}

// Reset forgets everything.
func (s *State) Reset() {
	clear(s.counters)
	clear(s.values)
	s.undo = s.undo[:0]
}

// Settle keeps what was written: marks of before end, and what they could have taken back is let go. Call it after each item.
func (s *State) Settle() {
	clear(s.undo)
	s.undo = s.undo[:0]
}

// AddCounter implements ticketing.RuleState.
func (s *State) AddCounter(rule string, ns uint32, key []byte, delta int64, window time.Duration, at time.Time) int64 {
	s.key = append(append(s.key[:0], rule...), 0)
	s.key = append(binary.BigEndian.AppendUint32(s.key, ns), key...)
	c, ok := s.counters[string(s.key)]
	if !ok {
		c = &counter{key: string(s.key)}
		s.counters[c.key] = c
	}
	s.undo = append(s.undo, change{had: ok, counter: c, before: c.WindowCounter})
	return c.Add(delta, window, at)
}

func valueKey(rule string, key []byte) string { return rule + "\x00" + string(key) }

// Value implements ticketing.RuleState.
func (s *State) Value(rule string, key []byte, at time.Time) ([]byte, bool) {
	v, ok := s.values[valueKey(rule, key)]
	if !ok || !v.until.IsZero() && !at.Before(v.until) {
		return nil, false
	}
	return v.bytes, true
}

// SetValue implements ticketing.RuleState.
func (s *State) SetValue(rule string, key, val []byte, ttl time.Duration, at time.Time) {
	k := valueKey(rule, key)
	old, ok := s.values[k]
	if val == nil {
		delete(s.values, k)
	} else {
		v := value{bytes: bytes.Clone(val)}
		if ttl > 0 {
			v.until = at.Add(ttl)
		}
		s.values[k] = v
	}
	s.undo = append(s.undo, change{key: k, had: ok, value: old})
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
	switch {
	case c.counter != nil && c.had:
		c.counter.WindowCounter = c.before
	case c.counter != nil:
		delete(s.counters, c.counter.key)
	case c.had:
		s.values[c.key] = c.value
	default:
		delete(s.values, c.key)
	}
}

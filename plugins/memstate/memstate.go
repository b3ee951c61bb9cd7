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
	counters map[string]ticketing.WindowCounter
	values   map[string]value
	undo     []func()
	key      []byte // scratch
}

type value struct {
	bytes []byte
	until time.Time // zero: for good
}

var _ ticketing.RuleState = (*State)(nil)

// New returns an empty state.
func New() *State {
	return &State{counters: map[string]ticketing.WindowCounter{}, values: map[string]value{}}
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
	k := string(s.key)
	old, ok := s.counters[k]
	c := old
	sum := c.Add(delta, window, at)
	s.counters[k] = c
	s.undo = append(s.undo, func() {
		if ok {
			s.counters[k] = old
		} else {
			delete(s.counters, k)
		}
	})
	return sum
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
	s.undo = append(s.undo, func() {
		if ok {
			s.values[k] = old
		} else {
			delete(s.values, k)
		}
	})
}

// Len is how many counters and values there are.
func (s *State) Len() int { return len(s.counters) + len(s.values) }

// Mark implements ticketing.RuleState.
func (s *State) Mark() int { return len(s.undo) }

// Rewind implements ticketing.RuleState.
func (s *State) Rewind(mark int) {
	for i := len(s.undo) - 1; i >= mark; i-- {
		s.undo[i]()
	}
	clear(s.undo[mark:])
	s.undo = s.undo[:mark]
}

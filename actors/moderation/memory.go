package moderation

import (
	"bytes"
	"encoding/binary"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// memory is what the rules remember in one slot, as one command sees it: what they write commits with the decision.
type memory struct {
	tx   *shard.Tx
	slot ticketing.Slot
	due  []due // rules whose rows are to be looked at when the item is judged
}

var _ ticketing.RuleState = (*memory)(nil)

// storedValue is a rule's value under a key.
type storedValue struct {
	Value []byte    `cbor:"1,keyasint"`
	Until time.Time `cbor:"2,keyasint,omitzero"` // zero: for good
}

func counterPrefix(slot ticketing.Slot, rule string) shard.Key {
	return shard.KeyAt(tableCounter, slot, []byte(rule), []byte{0})
}

func valuePrefix(slot ticketing.Slot, rule string) shard.Key {
	return shard.KeyAt(tableValue, slot, []byte(rule), []byte{0})
}

// AddCounter implements ticketing.RuleState.
func (m *memory) AddCounter(rule string, ns uint32, key []byte, delta int64, window time.Duration, at time.Time) (int64, bool) {
	k := append(binary.BigEndian.AppendUint32(counterPrefix(m.slot, rule), ns), key...)
	var n ticketing.WindowCounter
	if !m.tx.Get(k, &n) && !m.account(rule, k, change{rows: 1, bytes: ticketing.CounterSize(key)}) {
		return 0, false
	}
	sum := n.Add(delta, window, at)
	m.tx.Put(k, &n)
	return sum, true
}

// Value implements ticketing.RuleState.
func (m *memory) Value(rule string, key []byte, at time.Time) ([]byte, bool) {
	var v storedValue
	if !m.tx.Get(append(valuePrefix(m.slot, rule), key...), &v) || v.ended(at) {
		return nil, false
	}
	return v.Value, true
}

func (v *storedValue) ended(at time.Time) bool { return !v.Until.IsZero() && !at.Before(v.Until) }

// SetValue implements ticketing.RuleState.
func (m *memory) SetValue(rule string, key, value []byte, ttl time.Duration, at time.Time) bool {
	k := append(valuePrefix(m.slot, rule), key...)
	var c change
	var old storedValue
	if m.tx.Get(k, &old) {
		c = change{rows: -1, bytes: -ticketing.ValueSize(key, old.Value)}
	} else if value == nil {
		return true
	}
	if value == nil {
		m.account(rule, k, c)
		m.tx.Delete(k)
		return true
	}
	c = change{rows: c.rows + 1, bytes: c.bytes + ticketing.ValueSize(key, value)}
	if !m.account(rule, k, c) {
		return false
	}
	v := storedValue{Value: value}
	if ttl > 0 {
		v.Until = at.Add(ttl)
	}
	m.tx.Put(k, &v)
	return true
}

// Mark implements ticketing.RuleState.
func (m *memory) Mark() int { return m.tx.Mark() }

// Rewind implements ticketing.RuleState.
func (m *memory) Rewind(mark int) { m.tx.Rewind(mark) }

// used is how much a rule has stored in one slot. The count is made anew with every pass over the rule's rows, so it needs no rows to have
// been counted before: those that a program of the first format wrote come in with the first pass.
type used struct {
	Bytes int    `cbor:"1,keyasint"`
	Fresh int    `cbor:"2,keyasint,omitempty"` // rows that came since some were looked at
	After []byte `cbor:"3,keyasint,omitempty"` // the last key of the present pass; none: it has not begun
	Seen  int    `cbor:"4,keyasint,omitempty"` // bytes of the rows up to After
}

func usedKey(slot ticketing.Slot, rule string) shard.Key {
	return shard.KeyAt(tableUsed, slot, []byte(rule))
}

// A change is what becomes of a rule's rows and bytes by writing one key.
type change struct{ rows, bytes int }

// account counts a change of a key, and reports whether the rule may make it.
func (m *memory) account(rule string, k shard.Key, c change) bool {
	if m.tx.Format() < ticketing.PlatformFormat { // an older program would write without counting
		return true
	}
	var u used
	m.tx.Get(usedKey(m.slot, rule), &u)
	if c.bytes > 0 && u.Bytes+c.bytes > ticketing.MaxRuleMemory {
		m.look(due{rule, true})
		return false
	}
	if c == (change{}) {
		return true
	}
	u.Bytes = max(u.Bytes+c.bytes, 0)
	if bytes.Compare(k, u.After) <= 0 {
		u.Seen += c.bytes
	}
	if u.Fresh += max(c.rows, 0); u.Fresh >= sweepAfter {
		m.look(due{rule, false})
	}
	m.tx.Put(usedKey(m.slot, rule), &u)
	return true
}

package moderation

import (
	"encoding/binary"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// memory is what the rules remember in one slot, as one command sees it: what they write commits with the decision.
type memory struct {
	tx   *shard.Tx
	slot ticketing.Slot
}

var _ ticketing.RuleState = (*memory)(nil)

// storedValue is a rule's value under a key.
type storedValue struct {
	Value []byte    `cbor:"1,keyasint"`
	Until time.Time `cbor:"2,keyasint,omitzero"` // zero: for good
}

// AddCounter implements ticketing.RuleState.
func (m *memory) AddCounter(rule string, ns uint32, key []byte, delta int64, window time.Duration, at time.Time) int64 {
	k := shard.KeyAt(tableCounter, m.slot, []byte(rule), []byte{0}, binary.BigEndian.AppendUint32(nil, ns), key)
	var n ticketing.WindowCounter
	m.tx.Get(k, &n)
	sum := n.Add(delta, window, at)
	m.tx.Put(k, &n)
	return sum
}

func (m *memory) valueKey(rule string, key []byte) shard.Key {
	return shard.KeyAt(tableValue, m.slot, []byte(rule), []byte{0}, key)
}

// Value implements ticketing.RuleState.
func (m *memory) Value(rule string, key []byte, at time.Time) ([]byte, bool) {
	var v storedValue
	if !m.tx.Get(m.valueKey(rule, key), &v) || !v.Until.IsZero() && !at.Before(v.Until) {
		return nil, false
	}
	return v.Value, true
}

// SetValue implements ticketing.RuleState.
func (m *memory) SetValue(rule string, key, value []byte, ttl time.Duration, at time.Time) {
	k := m.valueKey(rule, key)
	if value == nil {
		m.tx.Delete(k)
		return
	}
	v := storedValue{Value: value}
	if ttl > 0 {
		v.Until = at.Add(ttl)
	}
	m.tx.Put(k, &v)
}

// Mark implements ticketing.RuleState.
func (m *memory) Mark() int { return m.tx.Mark() }

// Rewind implements ticketing.RuleState.
func (m *memory) Rewind(mark int) { m.tx.Rewind(mark) }

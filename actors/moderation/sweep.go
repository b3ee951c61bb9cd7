package moderation

import (
	"bytes"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// What has ended is removed by those who write: for every sweepAfter new rows of a rule sweepRows are looked at, in the order of their keys and
// round and round. So no command looks at many, a pass is over before the rows have grown by much more than a quarter, and a rule that writes
// nothing new costs nothing. A rule whose memory is full has some looked at for each item that finds it so.
const (
	sweepAfter = 32
	sweepRows  = 128
	// sweepGrace is how long after its end a row is removed at the earliest, unless the memory is full: events of other producers may be behind
	// by as much, and their times lie before the end.
	sweepGrace = time.Hour
)

// due is a rule whose rows are to be looked at.
type due struct {
	rule string
	full bool // it could not write
}

// look remembers a rule for sweep. It outlasts Rewind: a rule that fails because its memory is full must not keep it so.
func (m *memory) look(d due) {
	for i := range m.due {
		if m.due[i].rule == d.rule {
			m.due[i].full = m.due[i].full || d.full
			return
		}
	}
	m.due = append(m.due, d)
}

// sweep looks at some rows of the rules that are due, and removes those that have ended.
func (m *memory) sweep(at time.Time) {
	for _, d := range m.due {
		if !d.full {
			m.pass(d.rule, at.Add(-sweepGrace))
		} else {
			m.pass(d.rule, at)
		}
	}
}

// pass goes on with the pass over a rule's rows. What had ended by the time at is removed.
func (m *memory) pass(rule string, at time.Time) {
	var u used
	m.tx.Get(usedKey(m.slot, rule), &u)
	p := pass{used: &u, left: sweepRows}
	p.rows(m.tx, counterPrefix(m.slot, rule), func(k shard.Key, decode func(any)) (int, bool) {
		var n ticketing.WindowCounter
		decode(&n)
		return ticketing.CounterSize(k[4:]), n.Ended(at) // behind the number of the counter
	})
	p.rows(m.tx, valuePrefix(m.slot, rule), func(k shard.Key, decode func(any)) (int, bool) {
		var v storedValue
		decode(&v)
		return ticketing.ValueSize(k, v.Value), v.ended(at)
	})
	for _, k := range p.gone {
		m.tx.Delete(k)
	}
	if u.Fresh = 0; !p.more {
		u = used{Bytes: u.Seen}
	}
	if u.Bytes == 0 && len(u.After) == 0 {
		m.tx.Delete(usedKey(m.slot, rule))
		return
	}
	m.tx.Put(usedKey(m.slot, rule), &u)
}

// A pass is one command's part of going over a rule's rows.
type pass struct {
	used *used
	left int // rows to look at
	more bool
	gone []shard.Key
}

// rows looks at the rows of a table that follow. of tells a row's size and whether it has ended; it gets the key without the prefix.
func (p *pass) rows(tx *shard.Tx, prefix shard.Key, of func(k shard.Key, decode func(any)) (size int, ended bool)) {
	from := prefix
	if after := shard.Key(p.used.After); len(after) > 0 {
		switch {
		case after.Table() > prefix.Table():
			return
		case after.Table() == prefix.Table():
			from = after
		}
	}
	if p.more {
		return
	}
	tx.ScanFrom(prefix, from, func(k shard.Key, decode func(any)) bool {
		if bytes.Equal(k, p.used.After) {
			return true
		}
		if p.more = p.left == 0; p.more {
			return false
		}
		p.left--
		size, ended := of(k[len(prefix):], decode)
		if ended {
			p.gone = append(p.gone, k)
			p.used.Bytes = max(p.used.Bytes-size, 0)
		} else {
			p.used.Seen += size
		}
		p.used.After = k
		return true
	})
}

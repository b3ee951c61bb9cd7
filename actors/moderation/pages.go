package moderation

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
	"ticketing/runtime/wire"
)

// pageBytes bounds one page of evidence, which is past it by one case at most, and pageKeys how many decisions it looks at.
const (
	pageBytes = 256 << 10
	pageKeys  = 512
)

// A Query of evidence names decisions of rules in one slot, in the order of their times.
type Query struct {
	Slot  ticketing.Slot       `cbor:"1,keyasint"`
	After ticketing.ID         `cbor:"2,keyasint,omitzero"` // the last decision of the page before
	From  time.Time            `cbor:"3,keyasint,omitzero"` // of the decision, inclusive
	To    time.Time            `cbor:"4,keyasint,omitzero"` // exclusive
	Kinds []ticketing.ItemKind `cbor:"5,keyasint,omitempty"`
}

// has reports whether a decision of a time and kind is asked for.
func (q *Query) has(at time.Time, kind ticketing.ItemKind) bool {
	return !at.Before(q.From) && (q.To.IsZero() || at.Before(q.To)) && q.hasKind(kind)
}

func (q *Query) hasKind(kind ticketing.ItemKind) bool {
	return len(q.Kinds) == 0 || slices.Contains(q.Kinds, kind)
}

// A Page is a part of the evidence that was asked for.
type Page struct {
	Cases   []Case       `cbor:"1,keyasint,omitempty"`
	Missing uint64       `cbor:"2,keyasint,omitempty"` // decisions whose item was withdrawn
	Next    ticketing.ID `cbor:"3,keyasint,omitzero"`  // to go on after; zero: that was the last page
	Looked  uint64       `cbor:"4,keyasint,omitempty"` // decisions, whether they were asked for or not
	Unseen  uint64       `cbor:"5,keyasint,omitempty"` // of the whole slot, on its first page: decisions that were asked for, of which no evidence was ever kept
}

// A Case is a decision with its evidence, and what became of it. What the rules had read is left out: who asks for pages asks other rules, which
// have a memory of their own. So is what they said: of the decision there is what names it, its status, and by name and action the rules that
// caught the item.
type Case struct {
	Evidence ticketing.Evidence `cbor:"1,keyasint"`
	Was      ticketing.Decision `cbor:"2,keyasint"`           // by the rules
	Status   ticketing.Status   `cbor:"3,keyasint"`           // that counts now
	Human    bool               `cbor:"4,keyasint,omitempty"` // because a person said so
}

// size is about what the case takes in bytes.
func (c *Case) size() int {
	const fixed, outcome = 256, 64 // without texts
	n := fixed + len(c.Evidence.Item.Text) + len(c.Evidence.Item.Title)
	for i := range c.Was.Rules {
		n += outcome + len(c.Was.Rules[i].Rule)
	}
	return n
}

// evidence returns a page.
func (s *service) evidence(v *shard.View, q *Query) (Page, error) {
	r := pageReader{Query: q, view: v, evidence: v.Scanner(shard.KeyAt(tableEvidence, q.Slot)), decisions: v.Scanner(shard.KeyAt(tableDecision, q.Slot)),
		names: map[ticketing.ID]storedNames{}, rules: map[string]string{}}
	defer r.evidence.Close()
	defer r.decisions.Close()
	if q.After.IsZero() {
		r.unseen()
	}
	r.cases()
	return r.page, r.err
}

// A pageReader makes one page. A backtest reads everything that was ever decided, so values are read by hand, and only what a page needs of them.
type pageReader struct {
	*Query
	view                *shard.View
	evidence, decisions shard.Scanner
	page                Page
	size                int                          // of what goes into the page
	names               map[ticketing.ID]storedNames // of the authors so far
	rules               map[string]string            // the names of rules so far, so that each is allocated once
	err                 error
}

// cases reads evidence until the page is full.
func (r *pageReader) cases() {
	from, last := ticketing.NewID(r.Slot, r.From, 0), r.After
	if !last.IsZero() {
		from = last
	}
	r.evidence.Scan(shard.KeyAt(tableEvidence, r.Slot), evidenceKey(from), func(k shard.Key, val []byte) bool {
		id := ticketing.ID(k[3:])
		if id == r.After {
			return true
		}
		if !r.To.IsZero() && !id.Time().Before(r.To) {
			return false
		}
		if r.size >= pageBytes || r.page.Looked >= pageKeys {
			r.page.Next = last
			return false
		}
		r.page.Looked++
		last = id
		r.one(k, val)
		return r.err == nil
	})
}

// one takes a piece of evidence into the page, if it is asked for.
func (r *pageReader) one(k shard.Key, val []byte) {
	var e storedEvidence
	if r.failed(k, e.read(val)) || !r.hasKind(e.Item.Kind) {
		return
	}
	if e.Gone {
		r.page.Missing++
		return
	}
	names, known := r.names[e.Item.Author.ID]
	if !known {
		r.view.Get(namesKey(e.Item.Author.ID), &names)
		r.names[e.Item.Author.ID] = names
	}
	names.name(&e)
	r.page.Cases = append(r.page.Cases, Case{Evidence: ticketing.Evidence{Item: e.Item}})
	c := &r.page.Cases[len(r.page.Cases)-1]
	r.decided(c)
	r.size += c.size()
}

// decided finds what was decided about a case's revision, first and last.
func (r *pageReader) decided(c *Case) {
	item := &c.Evidence.Item
	all := decisionKey(item.Author.ID, item.ID, item.Rev, 0)
	all = all[:len(all)-2]
	r.decisions.Scan(all, all, func(k shard.Key, val []byte) bool {
		var d ticketing.Decision
		if r.failed(k, r.read(&d, val)) {
			return false
		}
		if automatic(k) {
			c.Was = d
		}
		c.Status, c.Human = d.Status, !d.By.IsZero()
		return true
	})
}

// automatic reports whether a decision's key is that of the rules' decision.
func automatic(k shard.Key) bool { return binary.BigEndian.Uint16(k[len(k)-2:]) == 0 }

// unseen counts the decisions of rules in the slot that were asked for, of which no evidence was ever kept. A decision and its evidence are
// written at once and never deleted, so where there are as many of the one as of the other none is looked at.
func (r *pageReader) unseen() {
	decisions, evidence := shard.KeyAt(tableDecision, r.Slot), shard.KeyAt(tableEvidence, r.Slot)
	without := 0
	r.decisions.Scan(decisions, decisions, func(k shard.Key, _ []byte) bool {
		if automatic(k) {
			without++
		}
		return true
	})
	r.evidence.Scan(evidence, evidence, func(shard.Key, []byte) bool {
		without--
		return true
	})
	if without == 0 {
		return
	}
	r.decisions.Scan(decisions, decisions, func(k shard.Key, val []byte) bool {
		if !automatic(k) {
			return true
		}
		var d ticketing.Decision
		if r.failed(k, r.read(&d, val)) {
			return false
		}
		if r.has(d.ID.Time(), d.Kind) && !r.view.Has(evidenceKey(d.ID)) {
			r.page.Unseen++
		}
		return true
	})
}

// failed keeps the first error of reading a value.
func (r *pageReader) failed(k shard.Key, err error) bool {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("key %x: %w", []byte(k), err)
	}
	return r.err != nil
}

// read reads of a stored decision what a [Case] has of it, and who made it.
func (r *pageReader) read(d *ticketing.Decision, val []byte) error {
	w := wire.NewReader(val)
	for n := w.Map(); n > 0; n-- {
		switch w.Uint() {
		case 1:
			w.Fill(d.ID[:])
		case 2:
			d.Kind = ticketing.ItemKind(w.Uint())
		case 3:
			w.Fill(d.Subject[:])
		case 4:
			d.Rev = uint32(w.Uint())
		case 5:
			w.Fill(d.Author[:])
		case 6:
			d.Status = ticketing.Status(w.Uint())
		case 9:
			for n := w.Array(); n > 0; n-- {
				if o := r.outcome(&w); o.Catches() {
					d.Rules = append(d.Rules, o)
				}
			}
		case 10:
			w.Fill(d.By[:])
		default:
			w.Skip()
		}
	}
	return w.Err()
}

// outcome reads who answered, and what.
func (r *pageReader) outcome(w *wire.Reader) (o ticketing.RuleOutcome) {
	for n := w.Map(); n > 0; n-- {
		switch w.Uint() {
		case 1:
			name := w.Text()
			known, ok := r.rules[string(name)]
			if !ok {
				known = string(name)
				r.rules[known] = known
			}
			o.Rule = known
		case 4:
			o.Abstain = w.Bool()
		case 5:
			o.Action = ticketing.Action(w.Uint())
		default:
			w.Skip()
		}
	}
	return o
}

// read reads stored evidence without what the rules had read.
func (e *storedEvidence) read(val []byte) error {
	w := wire.NewReader(val)
	for n := w.Map(); n > 0; n-- {
		switch w.Uint() {
		case 1:
			readItem(&w, &e.Item)
		case 3:
			e.Gone = w.Bool()
		case 4:
			e.Name = uint32(w.Uint())
		default:
			w.Skip()
		}
	}
	return w.Err()
}

// readItem reads all of an item.
func readItem(w *wire.Reader, it *ticketing.Item) {
	for n := w.Map(); n > 0; n-- {
		switch w.Uint() {
		case 1:
			it.Kind = ticketing.ItemKind(w.Uint())
		case 2:
			w.Fill(it.ID[:])
		case 3:
			it.Rev = uint32(w.Uint())
		case 4:
			w.Fill(it.Post[:])
		case 5:
			w.Fill(it.Parent[:])
		case 6:
			it.Title = string(w.Text())
		case 7:
			it.Text = string(w.Text())
		case 8:
			readAuthor(w, &it.Author)
		case 9:
			it.AuthorAge = w.Int()
		case 10:
			readCounts(w, &it.Counts)
		case 11:
			it.At = w.Time()
		case 12:
			it.Locale = string(w.Text())
		default:
			w.Skip()
		}
	}
}

func readAuthor(w *wire.Reader, a *ticketing.Author) {
	for n := w.Map(); n > 0; n-- {
		switch w.Uint() {
		case 1:
			w.Fill(a.ID[:])
		case 2:
			a.Name = string(w.Text())
		default:
			w.Skip()
		}
	}
}

func readCounts(w *wire.Reader, c *ticketing.Counts) {
	for n := w.Map(); n > 0; n-- {
		switch w.Uint() {
		case 1:
			c.Approved = uint32(w.Uint())
		case 2:
			c.Rejected = uint32(w.Uint())
		case 3:
			c.Held = uint32(w.Uint())
		case 4:
			c.Reports = uint32(w.Uint())
		default:
			w.Skip()
		}
	}
}

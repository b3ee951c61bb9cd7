package moderation

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"

	"ticketing"
	"ticketing/runtime/shard"
)

// Bounds of the statistics.
const (
	flushEvery  = time.Second
	maxRows     = 32  // versions and roles of one rule in one shard; the one that was counted longest ago goes first
	maxCauses   = 32  // of failures
	maxSamples  = 50  // disagreements
	sampleBytes = 200 // of a sample's text
)

// Roles in which a version answers.
const (
	roleActive = string(ticketing.VersionActive)
	roleCanary = string(ticketing.VersionCanary)
	roleShadow = string(ticketing.VersionShadow)
)

// statsID names a row of the statistics.
type statsID struct {
	rule   string
	digest ticketing.Digest
	role   string
}

// storedStats is a row of the statistics.
type storedStats struct {
	Stats ticketing.VersionStats `cbor:"1,keyasint"`
	Last  time.Time              `cbor:"2,keyasint"` // when it was last counted
}

// A tally is a shard's statistics between two flushes. Counting writes nothing; about once a second the sums go into the state with a
// decision. What was counted in an entry that did not commit is forgotten, as the decisions in it are: whether it did is seen by its last
// decision, or by the row that it flushed on request. A leader that crashes takes what it has not flushed with it; one that is about to hand
// over or to stop is asked to flush, and from then on does so with each decision: whatever it still decides is counted where it is decided.
type tally struct {
	shards  int
	kept    map[statsID]*ticketing.VersionStats // counted in committed entries, and not flushed
	open    map[statsID]*ticketing.VersionStats // counted in the entry in hand, since the flush in it if there was one
	batch   uint64                              // the entry in hand
	last    shard.Key                           // of the last decision in it
	flushed bool                                // it holds kept
	proof   proof                               // of an entry in hand that may have no decision in it
	at      time.Time                           // of the last flush
	until   time.Time                           // when it need not flush with each decision any more
}

// A proof is a row that was flushed, and how much it has judged since: less, if that did not commit.
type proof struct {
	row    shard.Key
	judged uint64
}

func (p *proof) holds(v *shard.View) bool {
	var s storedStats
	return p.row != nil && v.Get(p.row, &s) && s.Stats.Judged >= p.judged
}

func newTally(shards int) tally {
	return tally{shards: shards, kept: map[statsID]*ticketing.VersionStats{}, open: map[statsID]*ticketing.VersionStats{}}
}

// turn notices that there is another entry in hand, and finds out what became of the one before. It comes before anything else is done in
// an entry.
func (t *tally) turn(v *shard.View) {
	if v.Batch() == t.batch {
		return
	}
	if t.last != nil && v.Has(t.last) || t.proof.holds(v) {
		if t.flushed {
			clear(t.kept)
		}
		for id, more := range t.open {
			add(row(t.kept, id), more)
		}
	}
	clear(t.open)
	t.batch, t.last, t.flushed, t.proof = v.Batch(), nil, false, proof{}
}

// count counts a judgement, whose decision is stored under key.
func (t *tally) count(tx *shard.Tx, key shard.Key, item *ticketing.Item, j *ticketing.Judgement) {
	for i := range j.Outcomes {
		o, role := &j.Outcomes[i], roleActive
		if o.Canary {
			role = roleCanary
		}
		countOutcome(row(t.open, statsID{o.Rule, o.Digest, role}), o, item.At)
	}
	for i := range j.Shadows {
		o := &j.Shadows[i]
		s := row(t.open, statsID{o.Rule, o.Digest, roleShadow})
		countOutcome(s, &o.RuleOutcome, item.At)
		countShadow(s, o, rival(j.Outcomes, o), item)
	}
	t.last = key
	now := tx.Now()
	if t.at.IsZero() {
		t.at = now
	}
	if (now.Sub(t.at) >= flushEvery || now.Before(t.until)) && tx.Format() >= ticketing.PlatformFormat {
		t.flush(tx, item.Author.ID.Slot())
		t.at = now
	}
}

func row(m map[statsID]*ticketing.VersionStats, id statsID) *ticketing.VersionStats {
	s := m[id]
	if s == nil {
		s = &ticketing.VersionStats{Rule: id.rule, Digest: id.digest, Role: id.role}
		m[id] = s
	}
	return s
}

func countOutcome(s *ticketing.VersionStats, o *ticketing.RuleOutcome, at time.Time) {
	if s.Judged++; s.Since.IsZero() {
		s.Since = at
	}
	s.Fuel, s.Micros, s.MaxFuel = s.Fuel+o.Fuel, s.Micros+uint64(o.Micros), max(s.MaxFuel, o.Fuel)
	switch {
	case o.Failure != "":
		s.Failed++
		blame(s, o.Failure, 1)
	case o.Abstain:
		s.Abstain++
	case int(o.Action) < len(s.Actions):
		s.Actions[o.Action]++
	}
}

// otherCauses counts failures of causes that are too many to tell apart.
const otherCauses = "other"

// blame counts failures of a cause.
func blame(s *ticketing.VersionStats, cause string, n uint64) {
	if s.Failures == nil {
		s.Failures = map[string]uint64{}
	}
	named := len(s.Failures)
	if _, ok := s.Failures[otherCauses]; ok {
		named--
	}
	if _, ok := s.Failures[cause]; !ok && named >= maxCauses-1 {
		cause = otherCauses
	}
	s.Failures[cause] += n
}

// rival returns the outcome that a shadow is compared with: its rule's, or, if nothing of its rule judges, the one that decided. It is empty if
// there is none.
func rival(outcomes []ticketing.RuleOutcome, s *ticketing.ShadowOutcome) *ticketing.RuleOutcome {
	if i := slices.IndexFunc(outcomes, func(o ticketing.RuleOutcome) bool { return o.Rule == s.Rule || s.Alone && o.Action == s.Actual }); i >= 0 {
		return &outcomes[i]
	}
	return &ticketing.RuleOutcome{}
}

// countShadow compares a shadow's answer with the rule's own, or with what all rules came to, if nothing of its rule judges. A shadow that
// failed has not answered.
func countShadow(s *ticketing.VersionStats, o *ticketing.ShadowOutcome, actual *ticketing.RuleOutcome, item *ticketing.Item) {
	would := o.Would()
	if o.Failure != "" || int(o.Actual) >= len(s.Matrix) || int(would) >= len(s.Matrix) {
		return
	}
	s.Matrix[o.Actual][would]++
	if o.Actual == would {
		return
	}
	s.Samples = newest(s.Samples, ticketing.StatsSample{Kind: item.Kind, Subject: item.ID, Post: item.Post, Author: item.Author.ID,
		Actual: o.Actual, Shadow: would, Text: item.Excerpt(sampleBytes), At: item.At, ActualWhy: grounds(actual), ShadowWhy: grounds(&o.RuleOutcome)})
}

// grounds is what a rule gave as its reason, up to sampleBytes.
func grounds(o *ticketing.RuleOutcome) string {
	text := o.Detail
	switch {
	case o.Failure != "":
		text = "it failed: " + o.Failure
	case text == "":
		text = strings.Join(o.Labels, ", ")
	}
	return (&ticketing.Item{Text: text}).Excerpt(sampleBytes)
}

// newest appends samples and keeps the last ones.
func newest(have []ticketing.StatsSample, more ...ticketing.StatsSample) []ticketing.StatsSample {
	have = append(have, more...)
	if n := len(have) - maxSamples; n > 0 {
		have = append([]ticketing.StatsSample(nil), have[n:]...)
	}
	return have
}

// add adds what was counted later.
func add(s, more *ticketing.VersionStats) {
	if s.Since.IsZero() || !more.Since.IsZero() && more.Since.Before(s.Since) {
		s.Since = more.Since
	}
	s.Judged, s.Abstain, s.Failed = s.Judged+more.Judged, s.Abstain+more.Abstain, s.Failed+more.Failed
	s.Fuel, s.Micros, s.MaxFuel = s.Fuel+more.Fuel, s.Micros+more.Micros, max(s.MaxFuel, more.MaxFuel)
	for i := range s.Actions {
		s.Actions[i] += more.Actions[i]
	}
	for _, cause := range slices.Sorted(maps.Keys(more.Failures)) {
		blame(s, cause, more.Failures[cause])
	}
	for i := range s.Matrix {
		for j := range s.Matrix[i] {
			s.Matrix[i][j] += more.Matrix[i][j]
		}
	}
	s.Samples = newest(s.Samples, more.Samples...)
}

// home is the slot in which a shard keeps its statistics: its first.
func (t *tally) home(of ticketing.Slot) ticketing.Slot { return slotOf(of.Shard(t.shards), t.shards) }

func statsKey(slot ticketing.Slot, id statsID) shard.Key {
	return shard.KeyAt(tableStats, slot, []byte(id.rule), []byte{0}, id.digest[:], []byte(id.role))
}

// flush adds what was counted to what is stored.
func (t *tally) flush(tx *shard.Tx, of ticketing.Slot) {
	sums := t.open
	if !t.flushed {
		sums = t.sums()
	}
	home := t.home(of)
	for id, more := range sums {
		var s storedStats
		key := statsKey(home, id)
		if !tx.Get(key, &s) {
			s.Stats = ticketing.VersionStats{Rule: id.rule, Digest: id.digest, Role: id.role}
			makeRoom(tx, home, id.rule)
		}
		add(&s.Stats, more)
		s.Last = tx.Now()
		tx.Put(key, &s)
		t.proof = proof{key, s.Stats.Judged}
	}
	t.flushed = true
	t.open = map[statsID]*ticketing.VersionStats{}
}

// handsOverFor is for how long after a flush on request every decision flushes: longer than a stop or a transfer takes.
const handsOverFor = 30 * time.Second

// flushStats asks one shard, which is about to have another leader, to store what it has counted.
type flushStats struct {
	ticketing.Meta `cbor:"1,keyasint"`
	First          ticketing.Slot `cbor:"2,keyasint"` // of the shard
}

// flushAll flushes, if there is anything, and has every decision do so for a while.
func (t *tally) flushAll(tx *shard.Tx, c *flushStats) (struct{}, error) {
	t.turn(&tx.View)
	t.until = tx.Now().Add(handsOverFor)
	if len(t.open) == 0 && (t.flushed || len(t.kept) == 0) || tx.Format() < ticketing.PlatformFormat {
		return struct{}{}, nil
	}
	t.flush(tx, c.First)
	t.at = tx.Now()
	return struct{}{}, nil
}

// sums is everything that was counted and is not stored.
func (t *tally) sums() map[statsID]*ticketing.VersionStats {
	all := map[statsID]*ticketing.VersionStats{}
	for _, part := range []map[statsID]*ticketing.VersionStats{t.kept, t.open} {
		for id, more := range part {
			add(row(all, id), more)
		}
	}
	return all
}

// makeRoom deletes the row of a rule that was counted longest ago, if there are as many as there may be.
func makeRoom(tx *shard.Tx, home ticketing.Slot, rule string) {
	var oldest shard.Key
	var when time.Time
	n := 0
	tx.Scan(shard.KeyAt(tableStats, home, []byte(rule), []byte{0}), func(k shard.Key, decode func(any)) bool {
		var s storedStats
		decode(&s)
		if n++; oldest == nil || s.Last.Before(when) {
			oldest, when = bytes.Clone(k), s.Last
		}
		return true
	})
	if n >= maxRows {
		tx.Delete(oldest)
	}
}

package moderation

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/rules"
)

// model counts decisions as the statistics must.
type model map[statsID]*ticketing.VersionStats

func (m model) count(d ticketing.Decision) {
	for _, o := range d.Rules {
		s := row(m, statsID{o.Rule, o.Digest, "active"})
		s.Judged++
		s.Fuel += o.Fuel
		s.MaxFuel = max(s.MaxFuel, o.Fuel)
		s.Micros += uint64(o.Micros)
		if s.Since.IsZero() || d.At.Before(s.Since) {
			s.Since = d.At
		}
		switch {
		case o.Failure != "":
			s.Failed++
			if s.Failures == nil {
				s.Failures = map[string]uint64{}
			}
			s.Failures[o.Failure]++
		case o.Abstain:
			s.Abstain++
		default:
			s.Actions[o.Action]++
		}
	}
}

func (w *world) compare(m model, names ...string) {
	w.t.Helper()
	for _, name := range names {
		got, err := w.Stats(w.t.Context(), name)
		if err != nil {
			w.t.Fatal(err)
		}
		want := map[statsID]*ticketing.VersionStats{}
		for id, s := range m {
			if id.rule == name {
				want[id] = s
			}
		}
		if list := sorted(want); !reflect.DeepEqual(got, list) {
			w.t.Errorf("%s:\n%+v, want\n%+v", name, got, list)
		}
	}
}

// The statistics are exactly what was decided, over all shards, flushed or not, even when entries are lost and their events judged again.
func TestStatsAreExact(t *testing.T) {
	spam := rules.Builtin()[1]
	w := newWorld(t, hosttest.Boom, hosttest.HoldAll, hosttest.RejectAll)
	r := rand.New(rand.NewPCG(1, 2))
	authors := []ticketing.Author{w.author(0), w.author(1), w.author(0)}
	texts := []string{"hello", "boom", "check out my channel", "boom boom", "subscribe to my channel http://x.com now", "fine"}
	m := model{}
	sets := [][]ticketing.Rule{
		{rule("spam", spam.Module, string(spam.Config)), rule("b", hosttest.Boom, "")},
		{rule("spam", spam.Module, "{}"), rule("b", hosttest.HoldAll, "")},
		{rule("b", hosttest.RejectAll, "")},
	}
	for i := range 120 {
		if i%30 == 0 {
			w.rules(sets[r.IntN(len(sets))]...)
		}
		if r.IntN(4) == 0 {
			w.lost.Store(int32(r.IntN(3)))
		}
		m.count(w.comment(authors[r.IntN(len(authors))], fmt.Sprint(texts[r.IntN(len(texts))], i)))
		w.lost.Store(0)
		w.later(time.Duration(r.IntN(1500)) * time.Millisecond)
		if i%10 == 0 {
			w.compare(m, "spam", "b")
		}
	}
	w.compare(m, "spam", "b", "none")
	for i := range worldShards { // what is stored is what was flushed, and a part of it
		rows := w.stored(i, "b")
		if len(rows) == 0 {
			t.Error("nothing was flushed")
		}
	}
}

// Statistics are stored when that is asked for, also if the entry is lost once, and nothing is counted twice then or later.
func TestStatsAreFlushed(t *testing.T) {
	w := newWorld(t, hosttest.HoldAll)
	w.rules(rule("b", hosttest.HoldAll, ""))
	for n := uint64(1); n <= 3; n++ {
		for i := range 2 * worldShards {
			w.comment(w.author(i%worldShards), fmt.Sprint("number ", n))
		}
		w.lost.Store(int32(n % 2))
		for range 2 { // the second time there is nothing to do
			w.flush()
		}
		for i := range worldShards {
			if rows := w.stored(i, "b"); len(rows) != 1 || rows[0].Judged != 2*n {
				t.Errorf("shard %d has stored %+v of %d", i, rows, 2*n)
			}
		}
		if all, err := w.Stats(t.Context(), "b"); err != nil || len(all) != 1 || all[0].Judged != 2*n*worldShards {
			t.Errorf("%+v %v", all, err)
		}
		w.later(handsOverFor) // then it counts in memory again
	}
}

// A leader that was asked to store its statistics is about to hand over: for a while it stores what it counts with each decision, also after an
// entry that is lost. One that leads on then counts in memory again.
func TestStatsOfALeaderThatHandsOver(t *testing.T) {
	w := newWorld(t, hosttest.HoldAll)
	w.rules(rule("b", hosttest.HoldAll, ""))
	ann := w.author(0)
	stored := func(want uint64) {
		t.Helper()
		if rows := w.stored(0, "b"); len(rows) != 1 || rows[0].Judged != want {
			t.Errorf("stored: %+v, want %d", rows, want)
		}
	}
	w.flush()
	for n := uint64(1); n <= 5; n++ {
		w.lost.Store(int32(1 - n%2))
		w.comment(ann, fmt.Sprint("number ", n))
		stored(n)
	}
	w.later(handsOverFor)
	w.comment(ann, "some time later")
	stored(6)
	w.comment(ann, "and at once another one")
	stored(6)
	if all, err := w.Stats(t.Context(), "b"); err != nil || len(all) != 1 || all[0].Judged != 7 {
		t.Errorf("%+v %v", all, err)
	}
}

// flush makes every shard store what it has counted.
func (w *world) flush() {
	w.t.Helper()
	for i := range worldShards {
		if err := w.FlushStats(w.t.Context(), i); err != nil {
			w.t.Fatal(err)
		}
	}
}

// stored returns the statistics in a shard's state, as a copy has them that does not lead.
func (w *world) stored(index int, rule string) []ticketing.VersionStats {
	w.t.Helper()
	v, err := w.sys.Shard(Name, index).Local().Stale(opStats, &whichStats{rule, slotOf(index, worldShards), slotOf(index+1, worldShards)})
	if err != nil {
		w.t.Fatal(err)
	}
	return v.([]ticketing.VersionStats)
}

// Statistics of old versions are bounded: the ones that were counted longest ago go.
func TestStatsAreBounded(t *testing.T) {
	const versions = maxRows + 5
	modules := make([][]byte, versions)
	for i := range modules { // the same code in other bytes: a custom section at the end
		modules[i] = append(slices.Clone(hosttest.ApproveAll), 0, 2, 1, byte('A'+i))
	}
	w := newWorld(t, modules...)
	ann := w.author(0)
	for i, m := range modules {
		w.rules(rule("r", m, ""), rule("first", modules[0], ""))
		w.later(flushEvery)
		w.comment(ann, fmt.Sprint(i))
	}
	w.later(flushEvery)
	w.comment(ann, "the last one is flushed, too")
	rows := w.stored(0, "r")
	if len(rows) != maxRows || rows[0].Digest != ticketing.DigestOf(modules[versions-1]) {
		t.Errorf("%d rows", len(rows))
	}
	for _, r := range rows {
		if r.Digest == ticketing.DigestOf(modules[0]) {
			t.Error("the oldest stayed")
		}
	}
	if rows := w.stored(0, "first"); len(rows) != 1 || rows[0].Judged != versions+1 {
		t.Errorf("another rule's: %+v", rows)
	}
}

// A shadow and a canary are counted as what they are, by real versions.
func TestStatsOfCandidates(t *testing.T) {
	w := newWorld(t, hosttest.Boom, hosttest.HoldAll, hosttest.RejectAll)
	r := rule("b", hosttest.Boom, "")
	r.Shadow = &ticketing.Candidate{Digest: ticketing.DigestOf(hosttest.HoldAll), Version: "v2"}
	r.Canary = &ticketing.Candidate{Digest: ticketing.DigestOf(hosttest.RejectAll), Version: "v3", Share: ticketing.CanaryShares / 2}
	w.rules(r)
	chosen, others := uint64(0), uint64(0)
	for i := range 20 {
		ann := w.author(i % worldShards)
		if d := w.comment(ann, "fine"); d.Rules[0].Canary != r.Canary.Chosen("b", ann.ID) {
			t.Errorf("%+v", d.Rules[0])
		} else if d.Rules[0].Canary {
			chosen++
		} else {
			others++
		}
		w.later(300 * time.Millisecond)
	}
	if chosen == 0 || others == 0 {
		t.Fatal("this proves nothing")
	}
	stats, err := w.Stats(t.Context(), "b")
	if err != nil || len(stats) != 3 {
		t.Fatalf("%+v %v", stats, err)
	}
	for _, s := range stats {
		switch s.Role {
		case "active":
			if s.Judged != others || s.Actions[ticketing.ActionNone]+s.Actions[ticketing.ActionAllow] != others {
				t.Errorf("%+v", s)
			}
		case "canary":
			if s.Judged != chosen || s.Actions[ticketing.ActionReject] != chosen {
				t.Errorf("%+v", s)
			}
		case "shadow":
			hold := ticketing.ActionHold
			if s.Judged != 20 || s.Matrix[0][hold]+s.Matrix[1][hold]+s.Matrix[ticketing.ActionReject][hold] != 20 || len(s.Samples) != 20 || s.Agreement() != 0 {
				t.Errorf("%+v", s)
			}
		}
	}
}

// The shadow of a rule of which nothing judges is compared with the item's decision: a matter of what would change.
func TestStatsOfANewRule(t *testing.T) {
	w := newWorld(t, hosttest.HoldAll, hosttest.ApproveAll, hosttest.RejectAll)
	fresh := ticketing.Rule{Name: "new", Shadow: &ticketing.Candidate{Digest: ticketing.DigestOf(hosttest.HoldAll), Version: "v1"}}
	for _, others := range []struct {
		module []byte
		items  int
	}{{hosttest.ApproveAll, 3}, {hosttest.RejectAll, 2}} {
		w.rules(fresh, rule("b", others.module, ""))
		for i := range others.items {
			if d := w.comment(w.author(i%worldShards), "fine"); len(d.Rules) != 1 || d.Status == ticketing.Held {
				t.Fatalf("it decides: %+v", d)
			}
		}
	}
	stats, err := w.Stats(t.Context(), "new")
	if err != nil || len(stats) != 1 {
		t.Fatalf("%+v %v", stats, err)
	}
	s := stats[0]
	if s.Role != "shadow" || s.Judged != 5 || s.Actions[ticketing.ActionHold] != 5 || s.Matrix[ticketing.ActionAllow][ticketing.ActionHold] != 3 ||
		s.Matrix[ticketing.ActionReject][ticketing.ActionReject] != 2 || s.Agreement() != 0.4 || len(s.Samples) != 3 {
		t.Errorf("%+v", s)
	}
}

// A shadow is compared with the rule's own answers; one that failed has not answered. Samples and causes are bounded, the newest stay.
func TestShadowsAreCounted(t *testing.T) {
	s := &ticketing.VersionStats{}
	item := &ticketing.Item{Kind: ticketing.KindComment, ID: ticketing.ID{1}, Author: ticketing.Author{ID: ticketing.ID{2}}, At: noon}
	for i := range 3 * maxSamples {
		item.Text = fmt.Sprint(i)
		item.At = item.At.Add(time.Second)
		o := &ticketing.ShadowOutcome{Actual: ticketing.ActionNone, RuleOutcome: ticketing.RuleOutcome{Rule: "b", Action: ticketing.ActionHold, Labels: []string{"one", "two"}}}
		switch i % 3 {
		case 1:
			o.Action = ticketing.ActionNone
		case 2:
			o.Failure = fmt.Sprint("cause ", i)
		}
		countOutcome(s, &o.RuleOutcome, item.At)
		actual := []ticketing.RuleOutcome{{Rule: "a"}, {Rule: "b", Detail: strings.Repeat("é", sampleBytes)}}
		countShadow(s, o, rival(actual, o), item)
	}
	if s.Matrix[0][3] != maxSamples || s.Matrix[0][0] != maxSamples || s.Failed != maxSamples || s.Agreement() != 0.5 {
		t.Errorf("%+v", s.Matrix)
	}
	if n := len(s.Samples); n != maxSamples || s.Samples[n-1].Text != "147" || s.Samples[0].Text != "0" {
		t.Errorf("%d samples, %+v", n, s.Samples[0])
	}
	if last := s.Samples[maxSamples-1]; last.ShadowWhy != "one, two" || last.ActualWhy != strings.Repeat("é", sampleBytes/2) {
		t.Errorf("%+v", last)
	}
	if len(s.Failures) != maxCauses || s.Failures["other"] != maxSamples-maxCauses+1 {
		t.Errorf("%v", s.Failures)
	}
	twice := &ticketing.VersionStats{}
	add(twice, s)
	add(twice, s)
	if twice.Judged != 2*s.Judged || len(twice.Samples) != maxSamples || twice.Matrix[0][3] != 2*maxSamples || twice.Failures["other"] != 2*s.Failures["other"] {
		t.Errorf("%+v", twice)
	}
}

package node

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// judged makes statistics: items judged, failures, items caught, fuel of a call.
func judged(n, failed, caught, fuel uint64) ticketing.VersionStats {
	s := ticketing.VersionStats{Judged: n, Failed: failed, Fuel: n * fuel}
	s.Actions[ticketing.ActionReject], s.Actions[ticketing.ActionNone] = caught, n-caught
	return s
}

func TestWeigh(t *testing.T) {
	active := judged(10_000, 0, 1_000, 100)
	untouched := ticketing.VersionStats{}
	quick := ticketing.Candidate{MinJudged: 50, MinSeconds: 1}
	for _, tc := range []struct {
		name           string
		c              ticketing.Candidate
		age            time.Duration
		canary, active ticketing.VersionStats
		want           canaryVerdict
		why            string
	}{
		{"too few items", ticketing.Candidate{}, time.Hour, judged(499, 0, 50, 100), active, canaryWaits, ""},
		{"too early", ticketing.Candidate{}, 10*time.Minute - 1, judged(500, 0, 50, 100), active, canaryWaits, ""},
		{"well", ticketing.Candidate{}, 10 * time.Minute, judged(500, 0, 50, 100), active, canaryPromoted, "500 items"},
		{"well, in less", quick, time.Second, judged(50, 0, 5, 100), active, canaryPromoted, "50 items"},
		{"four failures", ticketing.Candidate{}, time.Second, judged(10, 4, 1, 100), active, canaryWaits, ""},
		{"five failures at once", ticketing.Candidate{}, time.Second, judged(10, 5, 1, 100), active, canaryRolledBack, "failed on 5 of 10"},
		{"1 % failures", ticketing.Candidate{}, time.Hour, judged(1_000, 10, 100, 100), active, canaryPromoted, ""},
		{"over 1 % failures", ticketing.Candidate{}, time.Hour, judged(999, 10, 100, 100), active, canaryRolledBack, "failed on 10 of 999"},
		{"few failures of few", quick, time.Hour, judged(60, 1, 6, 100), active, canaryRolledBack, "fails too often"},
		{"twice the cost", ticketing.Candidate{}, time.Hour, judged(500, 0, 50, 200), active, canaryPromoted, "2.0 times"},
		{"over twice", ticketing.Candidate{}, time.Second, judged(500, 0, 50, 201), active, canaryRolledBack, "costs too much"},
		{"5 points more", ticketing.Candidate{}, time.Hour, judged(1_000, 0, 149, 100), active, canaryPromoted, "+4.9 points"},
		{"over 5 points more", ticketing.Candidate{}, time.Second, judged(1_000, 0, 151, 100), active, canaryRolledBack, "too differently"},
		{"over 5 points less", ticketing.Candidate{}, time.Second, judged(1_000, 0, 49, 100), active, canaryRolledBack, "too differently"},
		{"nothing to compare with, ever", ticketing.Candidate{Share: ticketing.CanaryShares}, time.Hour, judged(500, 0, 300, 100), untouched, canaryPromoted, ""},
		{"nothing to compare with yet", ticketing.Candidate{Share: 1_000}, time.Hour, judged(500, 0, 300, 100), untouched, canaryWaits, ""},
		{"little to compare with", ticketing.Candidate{Share: 1_000}, time.Hour, judged(500, 0, 300, 100), judged(499, 0, 49, 100), canaryWaits, ""},
		{"enough to compare with", ticketing.Candidate{Share: 1_000}, time.Hour, judged(500, 0, 300, 100), judged(500, 0, 50, 100), canaryRolledBack, "too differently"},
		{"as much as its share leaves", ticketing.Candidate{Share: 9_000}, time.Hour, judged(500, 0, 300, 100), judged(55, 0, 5, 100), canaryRolledBack, "too differently"},
	} {
		if got, why := weigh(&tc.c, tc.age, tc.canary, tc.active); got != tc.want || !strings.Contains(why, tc.why) {
			t.Errorf("%s: %d %q, want %d …%s…", tc.name, got, why, tc.want, tc.why)
		}
	}
}

// Without fuel the time is compared.
func TestCostByTime(t *testing.T) {
	canary, active := ticketing.VersionStats{Judged: 10, Micros: 90}, ticketing.VersionStats{Judged: 100, Micros: 300, Fuel: 5}
	if got := costRatio(&canary, &active); got != 3 {
		t.Error(got)
	}
}

// Statistics from before a canary's time do not count for it.
func TestCanaryBaseline(t *testing.T) {
	began := time.Unix(1_700_000_000, 0)
	fresh, old := judged(7, 0, 1, 1), judged(7, 0, 1, 1)
	fresh.Since, old.Since = began.Add(time.Second), began.Add(-time.Hour)
	b := baseline{candidate: ticketing.Candidate{Since: began}, since: began}
	now := began.Add(time.Minute)
	if b.canary = fresh; b.begin(now).canary.Judged != 0 || !b.begin(now).since.Equal(began) {
		t.Errorf("%+v", b.begin(now))
	}
	if b.canary = old; b.begin(now).canary.Judged != 7 || !b.begin(now).since.Equal(now) {
		t.Errorf("%+v", b.begin(now))
	}
	if d := minus(judged(9, 3, 2, 1), judged(7, 4, 1, 1)); d.Judged != 2 || d.Failed != 0 || d.Actions[ticketing.ActionReject] != 1 {
		t.Errorf("%+v", d)
	}
}

// say makes everybody say something.
func (w *town) say(r *rand.Rand, text string) {
	w.t.Helper()
	for _, u := range w.users {
		m, post := meta(r), w.posts[r.IntN(len(w.posts))]
		c := ticketing.CreateComment{Meta: m, ID: ticketing.NewID(post.Slot(), m.At, r.Uint64()), Post: post, Author: ticketing.Author{ID: u.ID, Name: u.Name}, Text: text}
		eventually(w.t, "the post is known", func() bool {
			_, err := w.Services().Comments.CreateComment(w.t.Context(), c)
			if err != nil && ticketing.KindOf(err) != ticketing.NotFound {
				w.t.Fatal(err)
			}
			return err == nil
		})
	}
}

// half is a canary's share with which it judges half of the people.
func (w *town) half(rule string) *ticketing.Candidate {
	w.t.Helper()
	for c := (ticketing.Candidate{Share: 1}); c.Share < ticketing.CanaryShares; c.Share++ {
		n := 0
		for _, u := range w.users {
			if c.Chosen(rule, u.ID) {
				n++
			}
		}
		if n == len(w.users)/2 {
			return &c
		}
	}
	w.t.Fatal("no share chooses half of the people")
	return nil
}

// ruleNow returns a rule as it is.
func ruleNow(t *testing.T, n *Node, name string) ticketing.Rule {
	t.Helper()
	set, err := n.rules.RuleSet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.Rules {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no rule %s", name)
	return ticketing.Rule{}
}

// stands waits until a version of a plugin is in a state.
func stands(t *testing.T, n *Node, name string, d ticketing.Digest, want ticketing.VersionState) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s %v is %s", name, d, want), func() bool {
		all, err := n.rules.Plugins(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(all, func(v ticketing.PluginVersion) bool { return v.Name == name && v.Digest == d && v.State == want })
	})
}

// The server itself promotes a canary that did well, and takes away one that decides otherwise, costs too much or fails; the active version
// then judges everybody again, and what became of the canary is told.
func TestCanaryEnds(t *testing.T) {
	n := openShards(t, vfs.NewMem(), 2)
	w := newTown(t, n)
	r, said := rand.New(rand.NewPCG(5, 6)), 0
	for _, tc := range []struct {
		name, text, why string
		active, canary  []byte
		state           ticketing.VersionState
	}{
		{"worthy", "a thought", "canary promoted: ", hosttest.ApproveAll, hosttest.Empty, ticketing.VersionActive},
		{"other", "a thought", "canary rolled back: it decides too differently", hosttest.RejectAll, hosttest.Empty, ticketing.VersionStandby},
		{"dear", "a thought", "canary rolled back: it costs too much", hosttest.ApproveAll, hosttest.Boom, ticketing.VersionStandby},
		{"broken", "boom", "trap: unreachable", hosttest.ApproveAll, hosttest.Boom, ticketing.VersionQuarantined},
	} {
		old, next := ticketing.DigestOf(tc.active), ticketing.DigestOf(tc.canary)
		for _, module := range [][]byte{tc.active, tc.canary} {
			if v, _, err := n.rules.Upload(t.Context(), ticketing.UploadPlugin{By: nobody, Name: tc.name, Module: module}); err != nil || v.State != ticketing.VersionProbed {
				t.Fatalf("%+v %v", v, err)
			}
		}
		c := ticketing.SetRule{By: nobody, Name: tc.name, Active: old, IfMatch: ticketing.AnyMatch, Limits: ticketing.RuleLimits{WallMicros: 500_000},
			OnFailure: ticketing.FailReject, Scope: []ticketing.ItemKind{ticketing.KindComment}}
		c.Canary = w.half(tc.name)
		c.Canary.Digest, c.Canary.Auto, c.Canary.MinJudged, c.Canary.MinSeconds = next, true, 12, 1
		if _, err := n.rules.SetRule(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		now := ruleNow(t, n, tc.name)
		for left := 3_000; now.Canary != nil; now = ruleNow(t, n, tc.name) {
			if left--; left < 0 {
				t.Fatalf("%s: the canary does not end: %+v", tc.name, now)
			}
			w.say(r, fmt.Sprint(tc.text, " ", left))
			said += len(w.users)
			n.pause(t.Context(), 20*time.Millisecond)
		}
		want := old
		if tc.state == ticketing.VersionActive {
			want = next
			stands(t, n, tc.name, old, ticketing.VersionStandby)
		}
		if now.Active != want || now.OnFailure != c.OnFailure || now.Limits != c.Limits || len(now.Scope) != 1 {
			t.Errorf("%s: %+v", tc.name, now)
		}
		stands(t, n, tc.name, next, tc.state)
		steps, err := n.rules.History(t.Context(), tc.name, 10)
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for _, s := range steps {
			told = told || s.Digest == next && s.From == ticketing.VersionCanary && s.To == tc.state && strings.HasPrefix(s.Why, tc.why) && s.By.IsZero()
		}
		if !told {
			t.Errorf("%s: %+v", tc.name, steps)
		}
		if _, err := n.rules.SetRule(t.Context(), ticketing.SetRule{By: nobody, Name: tc.name, IfMatch: ticketing.AnyMatch}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "everything is decided", func() bool {
		got, err := n.rules.moderation.CountEvidence(t.Context(), time.Time{}, time.Time{})
		return err == nil && got == uint64(len(w.posts)+said)
	})
	for _, u := range w.users {
		decidedOnce(t, n, u)
	}
}

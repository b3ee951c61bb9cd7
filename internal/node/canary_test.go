package node

import (
	"strings"
	"testing"
	"time"

	"ticketing"
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
		{"nothing to compare with", ticketing.Candidate{}, time.Hour, judged(500, 0, 300, 100), untouched, canaryPromoted, ""},
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

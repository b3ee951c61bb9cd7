package host_test

import (
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

// Whatever a rule did, by its memory or by chance, comes out again from the item and what was read, with no memory at all.
func TestReplay(t *testing.T) {
	h := newHost(t, hosttest.Ask, hosttest.Probe)
	rules := []ticketing.Rule{uploaded("probe", hosttest.Probe, ""), uploaded("ask", hosttest.Ask, `{"x": 1}`)}
	j := openIn(t, h, ruleSet(7, rules...))
	state := memstate.New()
	for n, title := range []string{"count and put", "count and put", "random", "get", "third fails", "third fails", "put then trap", "hits", "count"} {
		item := titled(title, strings.Repeat("x", n+1))
		got := j.Judge(item, state)
		if (got.Reads != nil) != strings.Contains("count and put get third fails", title) || got.Reads != nil && len(got.Reads) != 2 {
			t.Errorf("%s: reads %q", title, got.Reads)
		}
		for i, o := range got.Outcomes {
			var reads []byte
			if got.Reads != nil {
				reads = got.Reads[i]
			}
			r, err := h.Replay(t.Context(), item, o, rules[i].Config, reads)
			if err != nil || !r.Same || !r.SameFuel || r.Outside || r.Note != "" || r.Now.Fuel != o.Fuel {
				t.Errorf("%s, %s: %+v, %v", title, o.Rule, r, err)
			}
		}
	}
}

// A replay has the limits that the operator had set then: less than usual, or more. Otherwise a verdict would become a failure, or the reverse.
func TestReplayHasItsLimits(t *testing.T) {
	h := newHost(t, hosttest.Ask)
	item := titled("count", "x")
	judged := func(l ticketing.RuleLimits) ticketing.Judgement {
		rule := uploaded("ask", hosttest.Ask, "")
		rule.Limits = l
		return openIn(t, h, ruleSet(7, rule)).Judge(item, memstate.New())
	}
	needs := judged(ticketing.RuleLimits{}).Outcomes[0]
	if needs.Failure != "" || needs.Fuel < 2 || needs.Limits != nil {
		t.Fatalf("%+v", needs)
	}
	for _, fuel := range []uint64{needs.Fuel - 1, needs.Fuel} {
		j := judged(ticketing.RuleLimits{Fuel: fuel})
		o := j.Outcomes[0]
		if (o.Failure == "fuel") != (fuel < needs.Fuel) {
			t.Fatalf("with %d units it needs %d: %+v", fuel, needs.Fuel, o)
		}
		var reads []byte
		if j.Reads != nil {
			reads = j.Reads[0]
		}
		if r, err := h.Replay(t.Context(), item, o, nil, reads); err != nil || !r.Same || !r.SameFuel || r.Note != "" {
			t.Errorf("with %d units: %+v, %v", fuel, r, err)
		}
	}
	// Under usual limits this would be a verdict: the limits are those of the outcome and not those of today.
	starved := judged(ticketing.RuleLimits{Fuel: needs.Fuel - 1}).Outcomes[0]
	starved.Limits = nil
	if r, err := h.Replay(t.Context(), item, starved, nil, nil); err != nil || r.Same {
		t.Errorf("without its limits: %+v, %v", r, err)
	}
}

func TestReplayNotices(t *testing.T) {
	h := newHost(t, hosttest.Ask)
	rule := uploaded("ask", hosttest.Ask, "")
	item, state := titled("count", "x"), memstate.New()
	got := openIn(t, h, ruleSet(7, rule)).Judge(item, state)
	stored, reads := got.Outcomes[0], got.Reads[0]
	changed := func(change func(o *ticketing.RuleOutcome)) ticketing.RuleOutcome {
		o := stored
		change(&o)
		return o
	}
	edited := *item
	edited.Title = "get"
	for _, tc := range []struct {
		name   string
		item   *ticketing.Item
		stored ticketing.RuleOutcome
		config string
		reads  []byte
		note   string
	}{
		{"verdict", item, changed(func(o *ticketing.RuleOutcome) { o.Code++ }), "", reads, "verdicts differ"},
		{"labels", item, changed(func(o *ticketing.RuleOutcome) { o.Labels = []string{"x"} }), "", reads, "labels"},
		{"failure", item, changed(func(o *ticketing.RuleOutcome) { o.Failure = "fuel" }), "", reads, "failed by"},
		{"config", item, stored, "{}", reads, "configuration"},
		{"another call", &edited, stored, "", reads, "asks its memory otherwise"},
		{"no reads", item, stored, "", nil, "asks its memory otherwise"},
		{"more reads", item, stored, "", append(reads, reads...), "asks its memory otherwise"},
		{"broken reads", item, stored, "", reads[:1], "asks its memory otherwise"},
	} {
		r, err := h.Replay(t.Context(), tc.item, tc.stored, []byte(tc.config), tc.reads)
		if err != nil || r.Same || !strings.Contains(r.Note, tc.note) {
			t.Errorf("%s: %+v, %v", tc.name, r, err)
		}
	}
	gone := changed(func(o *ticketing.RuleOutcome) { o.Digest = ticketing.Digest{1} })
	if _, err := h.Replay(t.Context(), item, gone, nil, reads); ticketing.KindOf(err) != ticketing.NotFound {
		t.Errorf("a module that is gone: %v", err)
	}
	other := changed(func(o *ticketing.RuleOutcome) { o.Fuel++ })
	if r, err := h.Replay(t.Context(), item, other, nil, reads); err != nil || !r.Same || r.SameFuel || !strings.Contains(r.Note, "fuel") {
		t.Errorf("other fuel: %+v, %v", r, err)
	}
	older := changed(func(o *ticketing.RuleOutcome) { o.Meter = 0 })
	if r, err := h.Replay(t.Context(), item, older, nil, reads); err != nil || !r.Same || r.SameFuel || !strings.Contains(r.Note, "another meter") {
		t.Errorf("another meter: %+v, %v", r, err)
	}
}

// A failure that does not follow from the item is explained, and the rule says what it says now; with the memory that is known.
func TestReplayOfWhatDoesNotFollow(t *testing.T) {
	h := newHost(t, hosttest.Ask, hosttest.Picky)
	rule := uploaded("ask", hosttest.Ask, "")
	item, state := titled("count", "x"), memstate.New()
	j := openIn(t, h, ruleSet(7, rule))
	j.Judge(item, state)
	got := j.Judge(item, state)
	for failure, note := range map[string]string{"deadline": "too long", "quarantined": "quarantine", "host error": "server failed", "cannot start": "did not start"} {
		stored := got.Outcomes[0]
		stored.Failure, stored.Action = failure, ticketing.ActionHold
		r, err := h.Replay(t.Context(), item, stored, nil, got.Reads[0])
		if err != nil || r.Same || !r.Outside || r.Now.Failure != "" || r.Now.Code != 2 || !strings.Contains(r.Note, note) || strings.Contains(r.Note, "not known") {
			t.Errorf("%s: %+v, %v", failure, r, err)
		}
		r, err = h.Replay(t.Context(), item, stored, nil, nil)
		if err != nil || r.Now.Failure != "" || r.Now.Code != 0 || !strings.Contains(r.Note, "not known") {
			t.Errorf("%s without a memory: %+v, %v", failure, r, err)
		}
		stored.Digest = ticketing.DigestOf(hosttest.Picky) // refuses the empty configuration
		if r, err := h.Replay(t.Context(), item, stored, nil, nil); err != nil || !r.Outside || !strings.Contains(r.Note, "does not start either") {
			t.Errorf("%s, and it does not start: %+v, %v", failure, r, err)
		}
	}
}

const goldenTests = `{"name": "ask", "abi": "ticketing/1", "fields": ["title", "text", "author", "author_name"], "capabilities": ["match", "norm", "hash", "lists", "counters", "kv", "rand", "time"],
	"config": {"type": "object", "properties": {"match": {"type": "array"}}}, "golden": [
	{"name": "lower", "item": {"title": "lower", "text": "ABC"}, "want": {"detail": "abc", "code": 3, "action": "none", "abstain": false, "score": 0}},
	{"name": "third", "item": {"title": "count", "text": "x", "repeat": 3}, "want": {"code": 3}},
	{"name": "hits", "config": {"match": [["x"]]}, "item": {"title": "hits", "text": "x", "author": "Ann", "kind": "post"}, "want": {"labels": ["aA"]}}
]}`

func TestProbe(t *testing.T) {
	probe := func(manifest string) ([]ticketing.GoldenFault, error) {
		module, err := abi.AppendManifest(hosttest.Ask, []byte(manifest))
		if err != nil {
			t.Fatal(err)
		}
		h := newHost(t, module)
		defer func() {
			if h.Loaded() != 0 {
				t.Errorf("%d versions are loaded", h.Loaded())
			}
		}()
		return h.Probe(t.Context(), ticketing.DigestOf(module))
	}
	if faults, err := probe(goldenTests); err != nil || len(faults) != 0 {
		t.Errorf("%+v, %v", faults, err)
	}
	for old, tc := range map[string]struct{ new, name, want, got string }{
		`"detail": "abc"`:             {`"detail": "abd"`, "lower", `detail "abd"`, `detail "abc"`},
		`"code": 3, "action": "none"`: {`"code": 4, "action": "hold"`, "lower", `action "hold", code 4`, `action "none", code 3`},
		`"repeat": 3`:                 {`"repeat": 2`, "third", "code 3", "code 2"},
		`["aA"]`:                      {`["aA", "b"]`, "hits", `labels ["aA","b"]`, `labels ["aA"]`},
		`[["x"]]`:                     {`7`, "hits", "a configuration that is accepted", "match must be a list of at most 64 sets"},
		`"title": "count"`:            {`"title": "third fails"`, "third", "a verdict", "failure: trap: unreachable"},
	} {
		faults, err := probe(strings.Replace(goldenTests, old, tc.new, 1))
		if err != nil || len(faults) != 1 || faults[0].Case != tc.name || faults[0].Want != tc.want || !strings.HasPrefix(faults[0].Got, tc.got) && !strings.Contains(faults[0].Got, "array") {
			t.Errorf("%s: %+v, %v", tc.new, faults, err)
		}
	}
}

func TestProbeWithoutTests(t *testing.T) {
	start := with(func(b *build) { // its start function traps
		b.functions, b.start, b.code = []byte{3, 0, 1, 2}, []byte{2}, append(append([]byte{3}, b.code[1:]...), 3, 0, 0, 0x0b)
	})
	h := newHost(t, hosttest.Picky, hosttest.Empty, start)
	for _, m := range [][]byte{hosttest.Picky, hosttest.Empty} { // picky refuses the empty configuration, but it starts
		if faults, err := h.Probe(t.Context(), ticketing.DigestOf(m)); err != nil || len(faults) != 0 {
			t.Errorf("%+v, %v", faults, err)
		}
	}
	_, err := h.Probe(t.Context(), ticketing.DigestOf(start))
	refused(t, err, "failed to start (trap: unreachable)")
}

package conformance_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/conformance"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

type run struct {
	judge ticketing.Judge
	state *memstate.State
}

func start(t *testing.T, h *host.Host, module []byte) run {
	t.Helper()
	j, err := h.Open(t.Context(), ticketing.RuleSet{Rules: []ticketing.Rule{{
		Name: "conformance", Version: "v1", Active: ticketing.DigestOf(module), Config: []byte(conformance.Config),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return run{j, memstate.New()}
}

func (r run) order(title, text string, edit bool) ticketing.RuleOutcome {
	at := time.Unix(1_767_268_800, 0)
	item := &ticketing.Item{
		Kind: ticketing.KindComment, ID: ticketing.NewID(1, at, 1), Rev: 1, Post: ticketing.NewID(1, at, 2), Title: title, Text: text,
		Author: ticketing.Author{ID: ticketing.NewID(1, at, 3), Name: "Ann"}, Counts: ticketing.Counts{Approved: 4}, At: at,
	}
	if edit {
		item.Rev = 2
	}
	o := r.judge.Judge(item, r.state).Outcomes[0]
	r.state.Settle()
	return o
}

// TestGuests: every language's guest answers every case as the table says, and takes the same fuel on every fresh instance.
func TestGuests(t *testing.T) {
	answers := map[string][]uint32{}
	for _, lang := range conformance.Guests() {
		t.Run(lang, func(t *testing.T) {
			module := conformance.Module(t, lang)
			h := host.New(hosttest.NewSource(module), host.Options{Usual: ticketing.RuleLimits{WallMicros: 500_000}})
			t.Cleanup(h.Close)
			if _, err := h.Check(module); err != nil {
				t.Fatal(err)
			}
			first, second := start(t, h, module), start(t, h, module)
			var failed bool
			for _, c := range conformance.Cases() {
				o, again := first.order(c.Title, c.Text, c.Edit), second.order(c.Title, c.Text, c.Edit)
				compare(t, c, o)
				// An instance that failed is replaced; from then on the fuel of both is that of a new one.
				if failed = failed || c.Failure != ""; o.Fuel != again.Fuel {
					t.Errorf("%s %q: %d units of fuel, and %d on another instance", c.Title, c.Text, o.Fuel, again.Fuel)
				}
				// A function that traps may not have settled its account yet; one that answers has.
				if o.Meter == 0 || o.Fuel == 0 && c.Failure == "" {
					t.Errorf("%s %q: no fuel was counted", c.Title, c.Text)
				}
			}
			for _, title := range conformance.Equal() {
				answers[title] = append(answers[title], first.order(title, "The quick brown fox jumps over the lazy dog", false).Code)
			}
		})
	}
	for title, codes := range answers {
		for _, n := range codes {
			if n != codes[0] || n == 0 {
				t.Errorf("%s: %v", title, codes)
			}
		}
	}
}

func compare(t *testing.T, c conformance.Case, o ticketing.RuleOutcome) {
	t.Helper()
	if c.Failure != "" && !(c.Cut && o.Failure == "") {
		for cause := range strings.SplitSeq(c.Failure, "|") {
			if strings.HasPrefix(o.Failure, cause) && o.Action == ticketing.ActionHold {
				return
			}
		}
		t.Errorf("%s: failure %q, action %v; want %s and hold", c.Title, o.Failure, o.Action, c.Failure)
		return
	}
	got := ticketing.RuleOutcome{Abstain: o.Abstain, Action: o.Action, Score: o.Score, Severe: o.Severe, Code: o.Code, Labels: o.Labels, Detail: o.Detail, Failure: o.Failure}
	if len(got.Labels) == 0 {
		got.Labels = nil
	}
	if !reflect.DeepEqual(got, c.Want) {
		t.Errorf("%s %q: %+v, want %+v", c.Title, c.Text, got, c.Want)
	}
}

// TestLongTexts: a text that the frame cuts is read whole.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("é", 34_000)
	for _, lang := range conformance.Guests() {
		module := conformance.Module(t, lang)
		h := host.New(hosttest.NewSource(module), host.Options{Usual: ticketing.RuleLimits{WallMicros: 500_000}})
		t.Cleanup(h.Close)
		if o := start(t, h, module).order("whole", long, false); o.Failure != "" || o.Code != uint32(len(long)) {
			t.Errorf("%s: %+v", lang, o)
		}
	}
}

// TestRefusedConfigurations: a guest that does not like its configuration is not started.
func TestRefusedConfigurations(t *testing.T) {
	for _, lang := range conformance.Guests() {
		module := conformance.Module(t, lang)
		h := host.New(hosttest.NewSource(module), host.Options{})
		t.Cleanup(h.Close)
		_, err := h.Open(t.Context(), ticketing.RuleSet{Rules: []ticketing.Rule{
			{Name: "conformance", Active: ticketing.DigestOf(module), Config: []byte(`{"accept": 2}`)},
		}})
		if ticketing.KindOf(err) != ticketing.Invalid {
			t.Errorf("%s: %v", lang, err)
		}
	}
}

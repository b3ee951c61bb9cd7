package conformance_test

import (
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/internal/doctable"
	"ticketing/plugins/conformance"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

var update = flag.Bool("update", false, "rewrite the table of the documentation")

// A guest is a language's guest under test, and what it was seen to do, by what is checked.
type guest struct {
	module []byte
	host   *host.Host
	saw    map[string]string
}

func newGuest(t *testing.T, lang string) guest {
	t.Helper()
	module := conformance.Module(t, lang)
	slow := ticketing.RuleLimits{WallMicros: 30_000_000} // the machine may be
	h := host.New(hosttest.NewSource(module), host.Options{Usual: slow, Most: slow})
	t.Cleanup(h.Close)
	return guest{module, h, map[string]string{}}
}

// note notes what was seen; a thing that several cases show is as they say, or as the first one says that differs from yes.
func (g guest) note(shows, cell string) {
	if old := g.saw[shows]; old == "" || old == "yes" {
		g.saw[shows] = cell
	}
}

// yes notes whether something is as it should be.
func (g guest) yes(shows string, ok bool) {
	cell := "yes"
	if !ok {
		cell = "no"
	}
	g.note(shows, cell)
}

// A run is an instance of a guest with a memory.
type run struct {
	judge ticketing.Judge
	state *memstate.State
}

func (g guest) start(t *testing.T) run {
	t.Helper()
	j, err := g.host.Open(t.Context(), ticketing.RuleSet{Rules: []ticketing.Rule{{
		Name: "conformance", Version: "v1", Active: ticketing.DigestOf(g.module), Config: []byte(conformance.Config),
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

// What is checked beside the cases.
const (
	showsFuel   = "the same fuel on two instances"
	showsHashes = "hash, SimHash and rand answer every language alike"
	showsLong   = "texts longer than the frame"
	showsConfig = "a configuration that it refuses"
)

// TestGuests: every language's guest answers every case as the table says, and takes the same fuel on every fresh instance. What was seen is the table
// in docs/PLUGINS.md.
func TestGuests(t *testing.T) {
	langs, all := conformance.Guests(), []guest{}
	answers := map[string][]uint32{}
	for _, lang := range langs {
		t.Run(lang, func(t *testing.T) {
			g := newGuest(t, lang)
			all = append(all, g)
			if _, err := g.host.Check(g.module); err != nil {
				t.Fatal(err)
			}
			first, second := g.start(t), g.start(t)
			for _, c := range conformance.Cases() {
				o, again := first.order(c.Title, c.Text, c.Edit), second.order(c.Title, c.Text, c.Edit)
				g.compare(t, c, o)
				g.yes(showsFuel, o.Fuel == again.Fuel)
				// An instance that failed is replaced; from then on the fuel of both is that of a new one.
				if o.Fuel != again.Fuel {
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
			g.readsLongTexts(t)
			g.refusesConfigurations(t)
		})
	}
	for title, codes := range answers {
		for i, n := range codes {
			all[i].yes(showsHashes, n == codes[0] && n != 0)
			if n != codes[0] || n == 0 {
				t.Errorf("%s: %v", title, codes)
			}
		}
	}
	hold(t, langs, all)
}

// hold compares the table of what was seen with the document, or writes it there.
func hold(t *testing.T, langs []string, all []guest) {
	t.Helper()
	var checked []string
	for _, c := range conformance.Cases() {
		if !slices.Contains(checked, c.Shows) {
			checked = append(checked, c.Shows)
		}
	}
	names := map[string]string{"c": "C (clang)", "go": "Go (stock, wasip1)"}
	table := doctable.Table{Path: "../../docs/PLUGINS.md", Name: "conformance", Head: []string{"what is checked"}}
	for _, lang := range langs {
		table.Head = append(table.Head, names[lang])
	}
	for _, shows := range append(checked, showsLong, showsConfig, showsHashes, showsFuel) {
		row := []string{shows}
		for _, g := range all {
			row = append(row, g.saw[shows])
		}
		table.Add(row...)
	}
	if *update {
		table.Write(t)
	}
	table.Check(t)
}

// compare compares an outcome with what the case wants, and notes what was seen: of a failure its cause.
func (g guest) compare(t *testing.T, c conformance.Case, o ticketing.RuleOutcome) {
	t.Helper()
	if c.Failure != "" && !(c.Cut && o.Failure == "") {
		for cause := range strings.SplitSeq(c.Failure, "|") {
			if strings.HasPrefix(o.Failure, cause) && o.Action == ticketing.ActionHold {
				g.note(c.Shows, "fails: "+o.Failure)
				return
			}
		}
		g.yes(c.Shows, false)
		t.Errorf("%s: failure %q, action %v; want %s and hold", c.Title, o.Failure, o.Action, c.Failure)
		return
	}
	got := ticketing.RuleOutcome{Abstain: o.Abstain, Action: o.Action, Score: o.Score, Severe: o.Severe, Code: o.Code, Labels: o.Labels, Detail: o.Detail, Failure: o.Failure}
	if len(got.Labels) == 0 {
		got.Labels = nil
	}
	ok := reflect.DeepEqual(got, c.Want)
	if ok && c.Cut {
		g.note(c.Shows, "is cut to fit")
		return
	}
	if g.yes(c.Shows, ok); !ok {
		t.Errorf("%s %q: %+v, want %+v", c.Title, c.Text, got, c.Want)
	}
}

// readsLongTexts: a text that the frame cuts is read whole.
func (g guest) readsLongTexts(t *testing.T) {
	t.Helper()
	long := strings.Repeat("é", 34_000)
	o := g.start(t).order("whole", long, false)
	ok := o.Failure == "" && o.Code == uint32(len(long))
	if g.yes(showsLong, ok); !ok {
		t.Errorf("a long text: %+v", o)
	}
}

// refusesConfigurations: a guest that does not like its configuration is not started.
func (g guest) refusesConfigurations(t *testing.T) {
	t.Helper()
	_, err := g.host.Open(t.Context(), ticketing.RuleSet{Rules: []ticketing.Rule{
		{Name: "conformance", Active: ticketing.DigestOf(g.module), Config: []byte(`{"accept": 2}`)},
	}})
	ok := ticketing.KindOf(err) == ticketing.Invalid
	if g.yes(showsConfig, ok); !ok {
		t.Errorf("a configuration: %v", err)
	}
}

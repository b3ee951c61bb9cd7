//go:build !race

package host_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/conformance"
	"ticketing/plugins/golden"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
	"ticketing/plugins/meter"
	"ticketing/plugins/rules"
)

// A session is a guest with one configuration, and the items that it judges one after the other, with one memory.
type session struct {
	config string
	items  []*ticketing.Item
}

// A subject is a guest of the differential test.
type subject struct {
	name     string
	module   []byte
	sessions []session
}

// subjects are all guests of this repository that come to an end without the meter.
func subjects(t *testing.T) []subject {
	all := []subject{{"go without a kit", goGuest(t, goManifest), []session{
		{"", append(orders("hello", "print", "exit", "panic", "world", "garbage", "wait"), fixedItems()...)},
	}}}
	for _, lang := range conformance.Guests() {
		all = append(all, subject{"conformance, " + lang, conformance.Module(t, lang), []session{{conformance.Config, conformanceItems()}}})
	}
	for _, r := range rules.Builtin() {
		all = append(all, subject{"rule " + r.Name, r.Module, append(goldenSessions(t, r.Module), session{string(r.Config), fixedItems()})})
	}
	for _, g := range []struct {
		name    string
		module  []byte
		configs []string
		items   []*ticketing.Item
	}{
		{"approve all", hosttest.ApproveAll, nil, fixedItems()}, {"reject all", hosttest.RejectAll, nil, fixedItems()},
		{"hold all", hosttest.HoldAll, nil, fixedItems()}, {"empty", hosttest.Empty, nil, fixedItems()},
		{"trap", hosttest.Trap, nil, fixedItems()}, {"boom", hosttest.Boom, nil, []*ticketing.Item{comment("a"), comment("boom"), comment("b"), comment("c")}},
		{"grow", hosttest.Grow, nil, fixedItems()}, {"hog", hosttest.Hog, nil, fixedItems()},
		{"bad verdict", hosttest.BadVerdict, nil, []*ticketing.Item{comment("f000000000000000"), comment("0327107f00000001"), comment("0500000000000000"), comment("0")}},
		{"picky", hosttest.Picky, []string{`{"accept": 1}`, `{"accept": 2}`, `{"accept": 4}`}, fixedItems()},
		{"probe", hosttest.Probe, []string{"", searching}, orders("free 1234 boom", ordersIn(t, "probe.c")...)},
		{"ask", hosttest.Ask, []string{"", `{"match": [["free", "boom"]], "lists": [["free 1234 boom"]]}`}, orders("free 1234 boom", ordersIn(t, "ask.c")...)},
		{"words", hosttest.Words, []string{searching}, append(fixedItems(), comment("a free gift"))},
	} {
		s := subject{name: g.name, module: g.module}
		for _, config := range append(g.configs, "")[:max(len(g.configs), 1)] {
			s.sessions = append(s.sessions, session{config, g.items})
		}
		all = append(all, s)
	}
	return all
}

// fixedItems are posts and comments of all sorts: short, long, with links, twice the same, in several scripts.
func fixedItems() []*ticketing.Item {
	var items []*ticketing.Item
	for _, text := range []string{
		hosttest.Clean, hosttest.Spam, "", "x", "Check out my channel!!! http://a.example/win and http://b.example/win", "FREE $$$ subscribe for a giveaway",
		"FREE $$$ subscribe for a giveaway", "Grüße, 世界", "p\u0430yp\u0430l", strings.Repeat("aé 😀 ", 6_000), "free\u200b gift \u202e", "\x00\xff",
	} {
		item := comment(text)
		if item.At = noon.Add(time.Duration(len(items)) * time.Second); len(items)%3 == 2 {
			item.Kind, item.Title, item.Post = ticketing.KindPost, "About "+text[:min(len(text), 8)], ticketing.ID{}
		}
		items = append(items, item)
	}
	return items
}

// orders are items that tell a guest what to do.
func orders(text string, titles ...string) (items []*ticketing.Item) {
	for _, title := range titles {
		items = append(items, titled(title, text))
	}
	return items
}

// ordersIn finds every order that a test guest knows in its source.
func ordersIn(t *testing.T, file string) (titles []string) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("hosttest", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`tk_is\(\w+, "([^"]+)"\)`).FindAllSubmatch(source, -1) {
		titles = append(titles, string(found[1]))
	}
	if len(titles) < 20 {
		t.Fatalf("%s: %q", file, titles)
	}
	return titles
}

// conformanceItems are the cases of the conformance suite, in their order, but for the one that only the meter ends.
func conformanceItems() (items []*ticketing.Item) {
	for _, c := range conformance.Cases() {
		if strings.Contains(c.Failure, "fuel") {
			continue
		}
		item := titled(c.Title, c.Text)
		if c.Edit {
			item.Rev = 2
		}
		items = append(items, item)
	}
	items = append(items, titled("whole", strings.Repeat("é", 34_000)))
	return append(items, orders("The quick brown fox jumps over the lazy dog", conformance.Equal()...)...)
}

// goldenSessions are a module's own golden tests.
func goldenSessions(t *testing.T, module []byte) (all []session) {
	t.Helper()
	_, m, err := host.Metered(module)
	if err != nil {
		t.Fatal(err)
	}
	_, cases, err := abi.ParseManifest(m.Custom(abi.ManifestSection)[0])
	if err != nil || len(cases) == 0 {
		t.Fatalf("%d golden tests: %v", len(cases), err)
	}
	for _, c := range cases {
		s := session{config: string(c.Config)}
		for n := range golden.Times(&c.Item) {
			s.items = append(s.items, golden.Item(&c.Item, n))
		}
		all = append(all, s)
	}
	return all
}

// gauged returns a module whose code is the original's, byte for byte. It has what the host looks for in a rewritten one, but nothing in it
// reads or writes the gauge: only what the host's own functions cost is charged.
func gauged(wasm []byte) []byte {
	var globals = [][]byte{{0x7e, 1, 0x42, 0, 0x0b}, {0x7f, 1, 0x41, 0, 0x0b}} // a variable i64 and a variable i32, both 0
	var start []byte
	sections := map[byte][]byte{6: {0}}
	for rest := wasm[8:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		id, body := rest[0], rest[1+n:1+n+int(size)]
		if rest = rest[1+n+int(size):]; id == 8 {
			start = body
		} else if id != 0 {
			sections[id] = body
		}
	}
	defined, _ := binary.Uvarint(sections[6])
	exports := [][]byte{
		join(text(meter.FuelExport), []byte{3}, leb(int(defined))),
		join(text(meter.DepthExport), []byte{3}, leb(int(defined)+1)),
	}
	if start != nil {
		exports = append(exports, join(text(meter.StartExport), []byte{0}, start))
	}
	sections[6], sections[7] = extended(sections[6], globals), extended(sections[7], exports)
	out := bytes.Clone(wasm[:8])
	for _, id := range []byte{1, 2, 3, 4, 5, 6, 7, 9, 12, 10, 11} {
		if body, ok := sections[id]; ok {
			out = append(append(out, id), sized(body)...)
		}
	}
	return out
}

// extended returns a section's list with more entries.
func extended(list []byte, more [][]byte) []byte {
	had, n := binary.Uvarint(list)
	return join(leb(int(had)+len(more)), list[n:], join(more...))
}

// A trace is everything that can be seen of a session.
type trace struct {
	refused string // why the guest did not start
	said    []ticketing.Judgement
	fuel    []uint64 // of each judgement
	logged  []ticketing.RuleLog
	state   *memstate.State
}

func (s session) run(t *testing.T, h *host.Host, module []byte) (tr trace) {
	t.Helper()
	j, err := h.Open(t.Context(), ruleSet(0, uploaded("r", module, s.config)))
	if err != nil {
		return trace{refused: err.Error(), logged: h.Logs("r", 200)}
	}
	defer j.Close()
	tr.state = memstate.New()
	for _, item := range s.items {
		said := j.Judge(item, tr.state)
		tr.state.Settle()
		tr.fuel = append(tr.fuel, said.Outcomes[0].Fuel)
		said.Outcomes[0].Fuel, said.Outcomes[0].Micros = 0, 0
		tr.said = append(tr.said, said)
	}
	tr.logged = h.Logs("r", 200)
	return tr
}

// TestTheMeterChangesNothing: with the answers of the real host every guest gives the same verdicts, labels, details, log lines, values and counters
// with the meter in it and without, and its fuel is the same on two hosts.
func TestTheMeterChangesNothing(t *testing.T) {
	for _, s := range subjects(t) {
		t.Run(s.name, func(t *testing.T) {
			metered, _, err := host.Metered(s.module)
			if err != nil {
				t.Fatal(err)
			}
			opts := endless(10 * time.Second)
			opts.Now = func() time.Time { return noon }
			var hosts [3]*host.Host
			for i, code := range [][]byte{metered, metered, gauged(s.module)} {
				hosts[i] = hostWith(t, opts, s.module)
				free, err := hosts[i].Place(t.Context(), s.module, code)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(free)
			}
			charged := false // something that the guest's own code did
			for _, session := range s.sessions {
				with, again, without := session.run(t, hosts[0], s.module), session.run(t, hosts[1], s.module), session.run(t, hosts[2], s.module)
				sameTrace(t, session, with, without)
				sameTrace(t, session, with, again)
				if !reflect.DeepEqual(with.fuel, again.fuel) {
					t.Errorf("fuel differs: %d, then %d", with.fuel, again.fuel)
				}
				for i := range with.fuel {
					charged = charged || with.fuel[i] > without.fuel[i]
				}
			}
			if !charged {
				t.Error("the meter charges nothing")
			}
		})
	}
}

// sameTrace compares two runs of a session, but for the fuel.
func sameTrace(t *testing.T, s session, a, b trace) {
	t.Helper()
	if a.refused != b.refused || len(a.said) != len(b.said) {
		t.Fatalf("started with %q, and with %q", a.refused, b.refused)
	}
	for i := range a.said {
		if !reflect.DeepEqual(a.said[i], b.said[i]) {
			t.Errorf("%q %.40q:\n %+v\n %+v", s.items[i].Title, s.items[i].Text, a.said[i], b.said[i])
		}
	}
	if !reflect.DeepEqual(a.logged, b.logged) {
		t.Errorf("logged %+v\nand %+v", a.logged, b.logged)
	}
	if !reflect.DeepEqual(a.state, b.state) {
		t.Errorf("after %d items the values and counters differ", len(s.items))
	}
}

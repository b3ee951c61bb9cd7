package peers

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ticketing/internal/youtube"
	"ticketing/plugins/host/hosttest"
)

// An engine is one way to run the rule.
type engine struct {
	name string
	open func(words []string) (Rule, error)
}

// engines returns all of them, in the order of the table.
func engines() []engine {
	return []engine{
		{"native/walk", func(w []string) (Rule, error) { return NewNative(w), nil }},
		{"native/dfa", func(w []string) (Rule, error) { return NewNativeDFA(w), nil }},
		{"ticketing", NewHosted},
		{"extism/time-out", func(w []string) (Rule, error) { return NewExtism(w, Watched, OneForAll) }},
		{"extism/time-out,host-match", func(w []string) (Rule, error) { return NewExtismMatch(w, Watched) }},
		{"extism/time-out,fresh-instance", func(w []string) (Rule, error) { return NewExtism(w, Watched, OneEach) }},
		{"extism/no-time-out", func(w []string) (Rule, error) { return NewExtism(w, Unwatched, OneForAll) }},
		{"opa/contains", func(w []string) (Rule, error) { return NewOPA(w, Contains, Unwatched) }},
		{"opa/regex", func(w []string) (Rule, error) { return NewOPA(w, Regex, Unwatched) }},
		{"opa/contains,time-out", func(w []string) (Rule, error) { return NewOPA(w, Contains, Watched) }},
	}
}

// openAll opens the rule in every engine.
func openAll(t *testing.T) map[string]Rule {
	t.Helper()
	rules := map[string]Rule{}
	for _, e := range engines() {
		r, err := e.open(hosttest.TwentyWords())
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		t.Cleanup(r.Close)
		rules[e.name] = r
	}
	return rules
}

// expected is the rule once more, from its definition: it cuts a text into words and looks each up.
func expected(text string) Verdict {
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r >= 0x80 || !letter(byte(r)) }) {
		for _, blocked := range hosttest.TwentyWords() {
			if strings.EqualFold(w, blocked) {
				return Verdict{Rejected: true, Word: blocked}
			}
		}
	}
	return Verdict{}
}

func compare(t *testing.T, rules map[string]Rule, text string) Verdict {
	t.Helper()
	want := expected(text)
	for name, r := range rules {
		if got, err := r.Judge(text); err != nil || got != want {
			t.Errorf("%s: %+v, want %+v (%v): %q", name, got, want, err, text)
		}
	}
	return want
}

// TestEnginesAgreeOnRealComments: what the benchmarks time is the same rule, and it finds a lot.
func TestEnginesAgreeOnRealComments(t *testing.T) {
	rules := openAll(t)
	rejected, words := 0, map[string]int{}
	comments := comments(t)
	for _, text := range comments {
		if v := compare(t, rules, text); v.Rejected {
			rejected++
			words[v.Word]++
		}
	}
	t.Logf("%d comments, %d of them rejected, for %v", len(comments), rejected, words)
	if len(comments) != 1_586 || rejected < 500 || len(words) < 16 { // two comments are there twice
		t.Error("too few")
	}
}

// comments returns the texts of the real comments.
func comments(t *testing.T) (texts []string) {
	t.Helper()
	files, err := filepath.Glob("../../examples/data/*.csv")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		rows, _, err := youtube.Read(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			texts = append(texts, row.Text)
		}
	}
	return texts
}

// TestEnginesAgreeOnEdges: words at the ends of texts, beside what could be taken for a part of them, and texts of all lengths around
// those in which a guest reads its input.
func TestEnginesAgreeOnEdges(t *testing.T) {
	rules := openAll(t)
	texts := []string{
		"", " ", "free", "FREE", "Free!", "(free)", "freed", "unfree", "free2", "2free", "_free_", "free\x00", "win", "winner", "winners win",
		"awinner winners, a winner", "check\ufeff", "\ufefffree", "free\u00a0money", "fre e", "porn-free", "\xfffree\xff", hosttest.Clean, hosttest.Spam,
	}
	for n := range 40 {
		pad := strings.Repeat("x", n)
		texts = append(texts, pad, pad+" free", pad+"free", pad+" free ", pad+" freex", "money "+pad)
	}
	for _, text := range texts {
		compare(t, rules, text)
	}
}

// TestEnginesAgreeOnNoise: random texts out of pieces of words and of what stands between words.
func TestEnginesAgreeOnNoise(t *testing.T) {
	rules := openAll(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	words := hosttest.TwentyWords()
	for range 400 {
		var b strings.Builder
		for range random.IntN(40) {
			w := words[random.IntN(len(words))]
			switch random.IntN(4) {
			case 0:
				w = w[:random.IntN(len(w))]
			case 1:
				w = strings.ToUpper(w[random.IntN(len(w)):])
			}
			b.WriteString(w)
			if random.IntN(3) > 0 {
				b.WriteByte(" -_.0a"[random.IntN(6)])
			}
		}
		compare(t, rules, b.String())
	}
}

// TestOursLooksCloser: outside of ASCII our host finds more, and is not spared the work in the benchmarks.
func TestOursLooksCloser(t *testing.T) {
	rules := openAll(t)
	for _, tc := range []struct {
		text         string
		ours, others bool
	}{
		{"ｆｒｅｅ money0", true, false}, // wide letters are letters
		{"fr\u200bee", true, false},  // an invisible space
		{"éfree", false, true},       // the letter before makes it another word
	} {
		for name, r := range rules {
			want := tc.others
			if name == "ticketing" {
				want = tc.ours
			}
			if got, err := r.Judge(tc.text); err != nil || got.Rejected != want {
				t.Errorf("%s: %+v, want %t (%v): %q", name, got, want, err, tc.text)
			}
		}
	}
}

// TestTimeLimitsAreOn: a call of Extism that never ends is ended, so what is timed is what protects.
func TestTimeLimitsAreOn(t *testing.T) {
	theirs, err := newExtismCall("forever")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	theirs.kept.Timeout = 50 * time.Millisecond
	if v, err := theirs.Judge(""); err == nil {
		t.Errorf("a loop without an end has ended by itself: %+v", v)
	}
	ours, err := newHosted(hosttest.Loop, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if v, err := ours.Judge(""); err == nil {
		t.Errorf("a loop without an end has ended by itself: %+v", v)
	}
}

// newExtismCall returns a rule that is another function of the guest for Extism, with a time-out.
func newExtismCall(function string) (*embedded, error) {
	r, err := NewExtism(nil, Watched, OneForAll)
	if err != nil {
		return nil, err
	}
	e := r.(*embedded)
	e.function = function
	return e, nil
}

// TestGuestsMatchTheirSources needs the compiler that the committed modules were made with.
func TestGuestsMatchTheirSources(t *testing.T) {
	version, err := exec.Command("clang", "--version").Output()
	if err != nil || !strings.Contains(string(version), "version 14.") {
		if os.Getenv("CI") == "true" {
			t.Fatalf("clang 14 is not installed: %s %v", version, err)
		}
		t.Skip("clang 14 is not installed")
	}
	if out, err := exec.Command("./guests/build.sh", "--check").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

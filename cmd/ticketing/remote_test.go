package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ticketing"
	"ticketing/client"
	"ticketing/plugins/rules"
)

// server opens a node in this process, and puts its URL and an operator's token into the environment.
func server(t *testing.T) *local {
	t.Helper()
	a := &app{out: os.Stdout, err: os.Stderr}
	l, err := a.openLocal(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	t.Setenv("TICKETING_URL", l.url)
	t.Setenv("TICKETING_TOKEN", l.api.Token())
	return l
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

const csvHead = "COMMENT_ID,AUTHOR,DATE,CONTENT,CLASS\n"

func TestImportYouTube(t *testing.T) {
	l := server(t)
	path := write(t, "Youtube07-Test.csv", csvHead+
		"id-1,Ann,2014-07-22T15:27:50,I love this song,0\n"+
		"id-2,Bob,,Check out my channel <br />http://spam.example.com/,1\n"+
		"broken,row\n"+
		"id-3,Ann,2014-07-23T15:27:50,me too,0\n"+
		"id-2,Bob,,Check out my channel <br />http://spam.example.com/,1\n"+
		"id-4,Eve,tomorrow,late,0\n")
	code, out, errs := command(t, "", "import", "youtube", path)
	if code != 0 || !strings.HasPrefix(out, "7 new: 3 users, 1 posts, 3 comments; 1 were there already; 2 bad rows;") {
		t.Errorf("%d, %q", code, out)
	}
	want := path + ":4: it has 2 columns instead of 5\n" + path + ":7: DATE is \"tomorrow\", not such as 2014-07-22T15:27:50\n"
	if errs != want {
		t.Errorf("faults %q", errs)
	}
	again := decode[importSummary](t, succeed(t, "", "import", "youtube", path, "--json"))
	if again.fresh() != 0 || again.Comments.Existing != 4 || again.Bad != 2 {
		t.Errorf("again: %+v", again)
	}
	a := &app{err: os.Stderr}
	if err := a.decided(t.Context(), l.api, 3); err != nil {
		t.Fatal(err)
	}
	totals, err := l.api.Stats(t.Context())
	if err != nil || totals.Posts["approved"] != 1 || totals.Comments["approved"] != 2 {
		t.Errorf("%+v, %v", totals, err)
	}
	recent := decode[[]ticketing.Decision](t, succeed(t, "", "plugin", "decisions", "--json"))
	if len(recent) != 4 {
		t.Errorf("%d decisions", len(recent))
	}
	one := succeed(t, "", "plugin", "decisions", "--subject", recent[0].Subject.String(), "--limit", "1")
	if !strings.Contains(one, recent[0].ID.String()) || !strings.Contains(one, recent[0].Subject.String()) || strings.Count(one, "\n") != 2 {
		t.Errorf("%s", one)
	}
}

func TestImportJSONL(t *testing.T) {
	server(t)
	var b strings.Builder
	b.WriteString(`{"type":"user","key":"ann","name":"Ann"}` + "\n")
	b.WriteString(`{"type":"post","key":"p","author":"ann","title":"T","body":"B","createdAt":"2020-01-01T00:00:00Z"}` + "\n\n")
	b.WriteString("{\n" + `{"type":"user","key":"x","name":"X","colour":"blue"}` + "\n" + "\"\xff\"\n")
	for i := range 2 * importRows { // references across requests become ids
		b.WriteString(`{"type":"comment","key":"c` + strings.Repeat("i", i%7) + string(rune('a'+i%26)) + `","post":"p","author":"ann","text":"hello"}` + "\n")
	}
	b.WriteString(`{"type":"comment","key":"reply","post":"p","parent":"ca","author":"ann","text":"hello"}` + "\n")
	b.WriteString(`{"type":"comment","key":"lost","post":"none","author":"ann","text":"hello"}`)
	code, out, errs := command(t, b.String(), "import", "jsonl", "-", "--json")
	s := decode[importSummary](t, out)
	if code != 0 || s.Users.New != 1 || s.Posts.New != 1 || s.Comments.New != 7*26+1 || s.Bad != 4 || errs != "" {
		t.Errorf("%d, %+v, %q", code, s, errs)
	}
	for i, line := range []int{4, 5, 6, 2*importRows + 8} {
		if s.Faults[i].Line != line || s.Faults[i].File != "-" {
			t.Errorf("fault %+v, want line %d", s.Faults[i], line)
		}
	}
	if line := fail(t, "{}\n", "import", "jsonl", "-", "--json"); !strings.Contains(line, "nothing could be imported") {
		t.Errorf("%q", line)
	}
}

func TestPlugins(t *testing.T) {
	server(t)
	module := filepath.Join("..", "..", "plugins", "rules", "blocklist", "blocklist.wasm")
	if line := fail(t, "", "plugin", "push", "Bad Name", module); !strings.Contains(line, `"Bad Name" is no name for a rule: lower-case letters`) {
		t.Errorf("%q", line)
	}
	if out := succeed(t, "", "plugin", "push", "mine", module); !strings.HasPrefix(out, "uploaded mine v1, ") {
		t.Errorf("%q", out)
	}
	if out := succeed(t, "", "plugin", "push", "mine", module); !strings.HasPrefix(out, "the server already has mine v1, ") {
		t.Errorf("%q", out)
	}
	if line := fail(t, "", "plugin", "push", "mine", write(t, "x.wasm", "not wasm")); !strings.Contains(line, "(400)") {
		t.Errorf("%q", line)
	}
	if out := succeed(t, "", "plugin", "shadow", "mine", "v1"); !strings.HasPrefix(out, "mine judges nothing") || !strings.Contains(out, "shadow: v1") {
		t.Errorf("%q", out)
	}
	if out := succeed(t, "", "plugin", "shadow", "mine", "--off"); !strings.HasPrefix(out, "mine is retired") {
		t.Errorf("%q", out)
	}
	if line := fail(t, "", "plugin", "activate", "mine", "v9"); !strings.Contains(line, "has no version v9 of mine") {
		t.Errorf("%q", line)
	}
	if line := fail(t, "", "plugin", "activate", "mine", "v1", "--on-failure", "explode"); !strings.Contains(line, "explode") {
		t.Errorf("%q", line)
	}
	config := write(t, "config.json", `{}`)
	if out := succeed(t, "", "plugin", "activate", "mine", "v1", "--config", config, "--on-failure", "allow"); !strings.HasPrefix(out, "mine judges by v1 (sha256:") {
		t.Errorf("%q", out)
	}
	configOf := func(args ...string) string {
		var b bytes.Buffer
		rule := decode[struct{ Config json.RawMessage }](t, succeed(t, "", append([]string{"plugin", "activate", "--json"}, args...)...))
		if err := json.Compact(&b, rule.Config); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	velocity := filepath.Join("..", "..", "plugins", "rules", "velocity", "velocity.wasm")
	counts, err := os.ReadFile(velocity)
	if err != nil {
		t.Fatal(err)
	}
	succeed(t, "", "plugin", "push", "counts", velocity)
	var comes bytes.Buffer // with it
	if err := json.Compact(&comes, rules.ConfigOf(ticketing.DigestOf(counts))); err != nil {
		t.Fatal(err)
	}
	const some = `{"author":[{"items":2,"seconds":60}]}`
	for _, tc := range []struct{ args, want string }{
		{"counts v1", comes.String()}, {"counts v1 --config " + some, some}, {"counts v1", some}, {"counts v1 --config {}", "{}"},
	} {
		if got := configOf(strings.Fields(tc.args)...); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.args, got, tc.want)
		}
	}
	succeed(t, "", "plugin", "canary", "counts", "v1", "--config", some)
	if out := succeed(t, "", "plugin", "rollback", "counts"); !strings.HasPrefix(out, "counts judges by v1") ||
		!strings.Contains(out, "the canary v1 is taken away; a second rollback brings v1 back\n") {
		t.Errorf("%q", out)
	}
	list := succeed(t, "", "plugin", "list")
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); f[0] == "mine" && (f[2] != "active" || f[3] != "allow") {
			t.Errorf("%q", line)
		}
	}
	digest := list[strings.Index(list, "sha256:"):][:7+64]
	if out := succeed(t, "", "plugin", "activate", "blocklist", digest[:16], "--json"); !strings.Contains(out, digest) {
		t.Errorf("%s", out)
	}
	if out := succeed(t, "", "plugin", "rollback", "blocklist", "--why", "too strict"); !strings.HasPrefix(out, "blocklist judges by v1") {
		t.Errorf("%q", out)
	}
	succeed(t, "", "plugin", "retire", "blocklist", "--why", "not needed")
	succeed(t, "", "plugin", "rollback", "blocklist")
	history := succeed(t, "", "plugin", "history", "blocklist")
	for _, want := range []string{"not needed", "rolled back", "Local operator"} {
		if !strings.Contains(history, want) {
			t.Errorf("no %q in %s", want, history)
		}
	}
	t.Setenv("TICKETING_TOKEN", "forged")
	if line := fail(t, "", "plugin", "list"); !strings.Contains(line, "(401)") {
		t.Errorf("%q", line)
	}
}

// Limits are named as the API names them, what is not named stays, and what the server does not allow is refused with its bounds.
func TestLimitsOfARule(t *testing.T) {
	server(t)
	module := filepath.Join("..", "..", "plugins", "rules", "velocity", "velocity.wasm")
	succeed(t, "", "plugin", "push", "counts", module)
	limits := func(args ...string) ticketing.RuleLimits {
		t.Helper()
		r := decode[client.Rule](t, succeed(t, "", append([]string{"plugin"}, append(args, "--json")...)...))
		if r.Effective.CallDepth != 512 || r.Limits.Fuel > 0 && r.Effective.Fuel != r.Limits.Fuel {
			t.Errorf("%v: %+v", args, r.Effective)
		}
		return r.Limits
	}
	for _, tc := range []struct {
		args string
		want ticketing.RuleLimits
	}{
		{"activate counts v1 --limit fuel=20000000", ticketing.RuleLimits{Fuel: 20_000_000}},
		{"activate counts v1 --limit wallMicroseconds=50000", ticketing.RuleLimits{Fuel: 20_000_000, WallMicros: 50_000}},
		{"shadow counts v1 --config {}", ticketing.RuleLimits{Fuel: 20_000_000, WallMicros: 50_000}},
		{"promote counts --to active --limit fuel=0 --limit hostCalls=10000", ticketing.RuleLimits{WallMicros: 50_000, HostCalls: 10_000}},
		{"rollback counts", ticketing.RuleLimits{WallMicros: 50_000, HostCalls: 10_000}},
	} {
		if got := limits(strings.Fields(tc.args)...); got != tc.want {
			t.Errorf("%s: %+v", tc.args, got)
		}
	}
	if out := succeed(t, "", "plugin", "activate", "counts", "v1"); !strings.Contains(out, "\nlimits: fuel=10000000 ") || !strings.Contains(out, " wallMicroseconds=50000 ") {
		t.Errorf("%s", out)
	}
	succeed(t, "", "plugin", "shadow", "counts", "v1", "--config", "{}")
	for change, want := range map[string]string{
		"fuel=200000001":       "The limit fuel is a number from 1 to 200000000, or 0 for the server's usual one.",
		"callDepth=4294967296": "The limit callDepth is a number from 1 to 4096",
		"fuel":                 "--limit fuel: write a name and a whole number, such as fuel=20000000",
		"fuel=-1":              "--limit fuel=-1: write",
		"speed=1":              `There is no limit "speed"; the limits are fuel, memoryPages, wallMicroseconds,`,
	} {
		for _, command := range []string{"activate counts v1", "promote counts --to active"} {
			if line := fail(t, "", append(append([]string{"plugin"}, strings.Fields(command)...), "--limit", change)...); !strings.Contains(line, want) {
				t.Errorf("%s: %s", change, line)
			}
		}
	}
	if out := succeed(t, "", "plugin", "inspect", module); !strings.Contains(out, " fuel=10000000 memoryPages=") || !strings.Contains(out, " outputBytes=65536\n") {
		t.Errorf("%s", out)
	}
}

func TestDemo(t *testing.T) {
	path := write(t, "Youtube09-Small.csv", csvHead+
		"id-1,Ann,2014-07-22T15:27:50,I love this song,0\n"+
		"id-2,Bob,,Check out my channel and subscribe to me http://spam.example.com/,1\n"+
		"id-3,Eve,,so good,1\n")
	s := decode[scores](t, succeed(t, "", "demo", path, "--json"))
	if s.Comments != 3 || s.Spam != 2 || s.New != 3 || s.All.CaughtSpam != 1 || s.All.MissedSpam != 1 || s.All.PassedHam != 1 ||
		s.All.Precision != 1 || s.All.Recall != 0.5 || len(s.Rules) != 2 {
		t.Errorf("%+v, all %+v", s, s.All)
	}
	out := succeed(t, "", "demo", path, "--data", filepath.Join(t.TempDir(), "kept"))
	for _, want := range []string{"3 comments of 1 videos, 2 of them labelled spam", "RULE", "50.0 %", "████", "ticketing serve --dev --data "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

func TestBench(t *testing.T) {
	t.Setenv("TICKETING_TEST_AS_PROGRAM", "1") // for the server that the benchmark starts
	report := filepath.Join(t.TempDir(), "report.json")
	texts := filepath.Join("..", "..", "examples", "data", "*.csv")
	out := succeed(t, "", "bench", "--connections", "4", "--users", "2", "--posts", "2", "--duration", "1s", "--warmup", "0s",
		"--prefill", "20", "--texts", texts, "--json", report, "--", "--shards", "1")
	for _, want := range []string{"visible/s", "accept to visible p50", "feed page", "after a kill"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	r := decode[struct {
		Medians []struct {
			Figures struct{ Accepted, Approved, Rejected, Held, Failed float64 }
		}
	}](t, string(b))
	if len(r.Medians) != 3 {
		t.Fatalf("%s", b)
	}
	for _, m := range r.Medians[:2] {
		if f := m.Figures; f.Accepted == 0 || f.Failed != 0 || f.Approved+f.Rejected+f.Held != f.Accepted {
			t.Errorf("%+v", f)
		}
	}
}

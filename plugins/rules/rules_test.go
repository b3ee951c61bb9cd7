package rules_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ticketing"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
	"ticketing/plugins/rules"
)

// TestBuiltinTogether: the built-in rules pass the same checks as uploaded ones, and work together.
func TestBuiltinTogether(t *testing.T) {
	var modules [][]byte
	set := ticketing.RuleSet{Generation: 1}
	for _, r := range rules.Builtin() {
		modules = append(modules, r.Module)
		set.Rules = append(set.Rules, ticketing.Rule{Name: r.Name, Active: ticketing.DigestOf(r.Module), Trusted: true, Config: r.Config})
	}
	h := host.New(hosttest.NewSource(modules...), host.Options{})
	t.Cleanup(h.Close)
	for _, m := range modules {
		if _, err := h.Check(m); err != nil {
			t.Error(err)
		}
	}
	if err := h.Prepare(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	j, err := h.Open(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, o := range j.Judge(newItem("What a fine day for a walk."), memstate.New()).Outcomes {
		if o.Failure != "" || o.Action != ticketing.ActionNone || len(o.Labels) != 0 || o.Detail != "" {
			t.Errorf("%+v", o)
		}
	}
}

// TestBuiltinGolden: the golden tests of every built-in rule pass, its default configuration fits its schema, and its manifest
// says that it is the rule by whose name it is registered.
func TestBuiltinGolden(t *testing.T) {
	for _, r := range rules.Builtin() {
		h := host.New(hosttest.NewSource(r.Module), host.Options{})
		t.Cleanup(h.Close)
		m, err := h.Check(r.Module)
		if err != nil || m.Name != r.Name || m.Golden < 5 || len(m.Config) == 0 {
			t.Errorf("%s: manifest of %q, %d golden tests, schema of %d bytes: %v", r.Name, m.Name, m.Golden, len(m.Config), err)
		}
		faults, err := h.Probe(t.Context(), ticketing.DigestOf(r.Module))
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		for _, f := range faults {
			t.Errorf("%s: %s: want %s, got %s", r.Name, f.Case, f.Want, f.Got)
		}
		open(t, r.Name, "")
	}
}

// TestModulesMatchTheirSources needs the compiler that the committed modules were made with.
func TestModulesMatchTheirSources(t *testing.T) {
	version, err := exec.Command("clang", "--version").Output()
	if err != nil || !strings.Contains(string(version), "version 14.") {
		if os.Getenv("CI") == "true" {
			t.Fatalf("clang 14 is not installed: %s %v", version, err)
		}
		t.Skip("clang 14 is not installed")
	}
	if out, err := exec.Command("./build.sh", "--check").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestBlocklist(t *testing.T) {
	j := open(t, "blocklist", `{"match": [
		{"label": "abuse", "action": "reject", "words": ["vermin", "get lost*"]},
		{"label": "short \"links\"", "action": "hold", "detail": "It hides where a link goes.", "domains": ["sho.rt"]},
		{"label": "topic", "action": "flag", "words": ["politics"]},
		["plain"]
	]}`)
	for _, tc := range []struct {
		title, text string
		action      ticketing.Action
		labels      string
		detail      string
	}{
		{"", "nothing here", ticketing.ActionNone, "", ""},
		{"", "You VERMIN!", ticketing.ActionReject, "abuse", "It contains a blocked word."},
		{"", "ovvermination", ticketing.ActionNone, "", ""},
		{"Get  lostest", "fine", ticketing.ActionReject, "abuse", "It contains a blocked word."},
		{"", "see https://a.sho.rt/x", ticketing.ActionHold, `short "links"`, "It hides where a link goes."},
		{"", "politics", ticketing.ActionFlag, "topic", "It contains a blocked word."},
		{"", "politics at sho.rt", ticketing.ActionHold, `short "links",topic`, "It hides where a link goes."},
		{"politics", "vermin", ticketing.ActionReject, "abuse,topic", "It contains a blocked word."},
		{"", "plain", ticketing.ActionReject, "", "It contains a blocked word."},
	} {
		item := newItem(tc.text)
		item.Title = tc.title
		o := j.Judge(item, nil).Outcomes[0]
		if o.Failure != "" || o.Action != tc.action || strings.Join(o.Labels, ",") != tc.labels || o.Detail != tc.detail {
			t.Errorf("%q: %+v", tc.text, o)
		}
	}
}

// What a configuration escapes is what authors read.
func TestDetailsAreUnescaped(t *testing.T) {
	for detail, want := range map[string]string{
		`Schimpfw\u00f6rter\nsind`:    "Schimpfwörter\nsind",
		`\"a\" \\ \/ \t\r\b\f.`:       "\"a\" \\ / \t\r\b\f.",
		`\u20AC \ud83d\ude00 \u0041`:  "€ 😀 A",
		`\ud83d! \ude00 \ud83d\u0041`: "\ufffd! \ufffd \ufffdA",
		`\u0000!`:                     "\ufffd!",
		`ö`:                           "ö",
	} {
		j := open(t, "blocklist", `{"match": [{"words": ["x"], "action": "reject", "label": "l", "detail": "`+detail+`"}]}`)
		if o := j.Judge(newItem("x"), nil).Outcomes[0]; o.Failure != "" || o.Detail != want {
			t.Errorf("%s: %q (%s), want %q", detail, o.Detail, o.Failure, want)
		}
	}
}

func TestConfigsAreRefused(t *testing.T) {
	for _, tc := range []struct{ rule, config string }{
		{"blocklist", `{"match": [{"action": "burn", "words": ["x"]}]}`},
		{"blocklist", `{"match": [{"label": "` + strings.Repeat("x", 65) + `", "words": ["x"]}]}`},
		{"spam", `{"hold": "much"}`},
		{"spam", `{"hold": 0}`},
		{"spam", `{"points": {"link": 101}}`},
		{"spam", `{"rate": {"seconds": 0}}`},
		{"spam", `{"match": [{"signal": "unknown", "points": 1, "words": ["x"]}]}`},
		{"spam", `{"match": [{"signal": "plea", "points": 1.5, "words": ["x"]}]}`},
		{"velocity", `{"author": [{"items": 0, "seconds": 60}]}`},
		{"velocity", `{"author": [{"items": 5}]}`},
		{"velocity", `{"text": [{"items": 5, "seconds": 60, "action": "burn"}]}`},
		{"repeat", `{"keep": 33}`},
		{"repeat", `{"action": "none"}`},
		{"links", `{"imitated": ["PayPal.com"]}`},
		{"links", `{"imitation": "burn"}`},
		{"links", `{"max_links": -1}`},
	} {
		for _, r := range rules.Builtin() {
			if r.Name != tc.rule {
				continue
			}
			h := host.New(hosttest.NewSource(r.Module), host.Options{})
			err := h.Prepare(t.Context(), ticketing.RuleSet{Generation: 1, Rules: []ticketing.Rule{
				{Name: r.Name, Active: ticketing.DigestOf(r.Module), Config: []byte(tc.config)},
			}})
			if ticketing.KindOf(err) != ticketing.Invalid {
				t.Errorf("%s accepts %s: %v", tc.rule, tc.config, err)
			}
			h.Close()
		}
	}
}

// TestSpamLeavesPeopleAlone holds texts that a discussion is made of.
func TestSpamLeavesPeopleAlone(t *testing.T) {
	j := open(t, "spam", "")
	for _, text := range []string{
		"I think the second chapter is the best one.",
		"Could you please explain how the cache works? Thanks for your time!",
		"He said no. Come on, that cannot be right. It is what it is.",
		"The release has 2 147 483 647 downloads, up from 851.247.920 last year.",
		"I'll check it out tomorrow, it looks good.",
		"We use Node.js and ASP.NET here, e.g. for the API.",
		"PLEASE READ THE MANUAL",
		"Soooo good, hahahaha!!!!!",
		"My blog post about it got three readers, all of them cats.",
		"The channel tunnel opened in 1994.",
		"You can subscribe or not, I do not mind.",
		"The value is 0.123456789012 and the other one 1234567890.",
		"Mail him @work or ask @anna.",
		"very very good",
		"I saw it.It was fine. We know.me too.",
		"Ich fände es schön, wenn alle kämen.",
		"我觉得第二章最好。",
		"",
	} {
		if o := j.Judge(newItem(text), nil).Outcomes[0]; o.Failure != "" || o.Action != ticketing.ActionNone {
			t.Errorf("%q: %+v", text, o)
		}
	}
}

func TestSpamSignals(t *testing.T) {
	j := open(t, "spam", "")
	for _, tc := range []struct {
		text   string
		action ticketing.Action
		labels string
		detail string
	}{
		{"look: http://example.com/x", ticketing.ActionHold, "link,mostly-links", "It looks like advertising: it contains a link and has little text beside links."},
		{"more about all of this, and of that, at www.example.com today", ticketing.ActionHold, "link", "It looks like advertising: it contains a link."},
		{"visit my channel at example.com now", ticketing.ActionReject, "promotion,link", "It looks like advertising: it asks people to visit, watch or follow something and contains a link."},
		{"a very good site, it is example . com and it is nice", ticketing.ActionHold, "link", ""},
		{"write to ann.lee@example.org and we shall see what comes", ticketing.ActionReject, "link,contact", ""},
		{"call me: +44 7935 454150", ticketing.ActionHold, "contact", "It looks like advertising: it gives contact details."},
		{"watch this: youtu.be/abc, it is better than what we saw", ticketing.ActionHold, "link", ""},
		{"IT IS ALL AT EXAMPLE.COM for those who want to know it", ticketing.ActionHold, "link", ""},
		{"Subscribe to my channel", ticketing.ActionHold, "promotion", ""},
		{"Work from home and earn money: example.com", ticketing.ActionReject, "link,money", ""},
		{"CHECK OUT MY NEW STUFF IT IS THE BEST", ticketing.ActionReject, "promotion,shouting", ""},
		{"check out my my my my my stuff!!!!!!!!!!", ticketing.ActionReject, "promotion,repetition", ""},
	} {
		o := j.Judge(newItem(tc.text), nil).Outcomes[0]
		if o.Failure != "" || o.Action != tc.action || strings.Join(o.Labels, ",") != tc.labels || tc.detail != "" && o.Detail != tc.detail {
			t.Errorf("%q: %+v", tc.text, o)
		}
	}
}

func TestSpamKnownAuthors(t *testing.T) {
	j := open(t, "spam", "")
	item := newItem("more about all of this, and of that, at www.example.com today")
	item.Counts.Approved = 3
	if o := j.Judge(item, nil).Outcomes[0]; o.Action != ticketing.ActionNone {
		t.Errorf("%+v", o)
	}
	item.Text = "subscribe to my channel at example.com"
	if o := j.Judge(item, nil).Outcomes[0]; o.Action != ticketing.ActionHold {
		t.Errorf("%+v", o)
	}
}

func TestSpamRate(t *testing.T) {
	state := memstate.New()
	j := open(t, "spam", `{"rate": {"items": 3, "seconds": 60}}`)
	for i := range 5 {
		item := newItem("fine")
		item.At = item.At.Add(time.Duration(i) * time.Second)
		o := j.Judge(item, state).Outcomes[0]
		if held := o.Action == ticketing.ActionHold; held != (i >= 3) || o.Failure != "" {
			t.Errorf("item %d: %+v", i, o)
		}
		if i >= 3 && (o.Code != 9 || o.Detail != "It is one of many within a short time.") {
			t.Errorf("item %d: %+v", i, o)
		}
	}
	state = memstate.New()
	j = open(t, "spam", `{"rate": {"items": 0}}`)
	j.Judge(newItem("fine"), state)
	if n := state.Len(); n != 0 {
		t.Errorf("counts although there is no limit: %d", n)
	}
}

// BenchmarkSpam measures how the rule does with the length of a text.
func BenchmarkSpam(b *testing.B) {
	j := open(b, "spam", "")
	for _, n := range []int{200, 2_000, 20_000} {
		item := newItem(strings.Repeat("The weather was fine and we walked along the river. ", n/50)[:n])
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				j.Judge(item, nil)
			}
		})
	}
}

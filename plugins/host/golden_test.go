package host_test

import (
	"slices"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host"
	"ticketing/plugins/host/hosttest"
)

// trials runs the golden tests of a module with a manifest.
func trials(t *testing.T, module []byte, manifest string) []host.Trial {
	t.Helper()
	module, err := abi.AppendManifest(module, []byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	got, err := newHost(t, module).Golden(t.Context(), ticketing.DigestOf(module))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A rule that answers otherwise when it has judged other items passes no golden test, even one that does not ask for what differs.
func TestGoldenNoticesWhatRulesRemember(t *testing.T) {
	const boom = `{"name": "boom", "abi": "ticketing/1", "fields": ["text"], "golden": [` // its code counts the items that the instance has seen
	for name, golden := range map[string]string{
		"one test":            `{"name": "a", "item": {"text": "a"}, "want": {"action": "none"}}`,
		"two":                 `{"name": "a", "item": {"text": "a"}, "want": {"action": "none"}}, {"name": "b", "item": {"text": "b"}, "want": {}}`,
		"two configurations":  `{"name": "a", "item": {"text": "a"}, "want": {}}, {"name": "b", "config": {"x": 1}, "item": {"text": "b"}, "want": {}}`,
		"one that repeats it": `{"name": "a", "item": {"text": "a", "repeat": 3}, "want": {"code": 3}}`,
	} {
		for _, trial := range trials(t, hosttest.Boom, boom+golden+"]}") {
			f := trial.Fault
			if f == nil || !trial.Remembers || !strings.Contains(f.Want, "as on a fresh instance") || !strings.Contains(f.Got, "remembers something between items") || trial.Outcome.Failure != "" {
				t.Errorf("%s: %s: %+v", name, trial.Case, trial)
			}
		}
	}
}

// Fuel is not a verdict: the collector of stock Go runs now and then, and such a rule passes.
func TestGoldenLetsFuelDiffer(t *testing.T) {
	got := trials(t, hosttest.GoGuest(t), `{"name": "go", "abi": "ticketing/1", "fields": ["title", "text"], "capabilities": ["wasi", "time", "log"],
		"limits": {"memoryPages": 512}, "golden": [
		{"name": "garbage", "item": {"title": "garbage", "text": "spam", "repeat": 200}, "want": {"action": "hold"}},
		{"name": "world", "item": {"title": "world", "text": "x"}, "want": {"action": "none"}}
	]}`)
	differs := false
	for _, trial := range got {
		differs = differs || trial.Used != trial.Outcome.Fuel
		if trial.Fault != nil || trial.Used == 0 {
			t.Errorf("%+v", trial)
		}
	}
	if !differs {
		t.Errorf("the collector never runs: %+v", got)
	}
}

// An author sees what the rule logged, and what it asked for in vain.
func TestGoldenShowsLinesAndDenials(t *testing.T) {
	const manifest = `{"name": "probe", "abi": "ticketing/1", "fields": ["title", "author"], "capabilities": ["log", "match", "regex", "counters", "time"], "golden": [
		{"name": "logs", "item": {"title": "log", "text": "x", "repeat": 2}, "want": {"action": "none"}},
		{"name": "asks", "item": {"title": "add text", "text": "x"}, "want": {"action": "none"}}
	]}`
	got := trials(t, hosttest.Probe, manifest)
	if n := len(got[0].Log); n != 20 || got[0].Log[0].Level != "warn" || !strings.HasPrefix(got[0].Log[19].Text, "0123456789") || got[0].Denied != nil {
		t.Errorf("%d lines: %+v", n, got[0])
	}
	if !slices.Equal(got[1].Denied, []string{"text"}) || got[1].Log != nil || got[1].Fault != nil {
		t.Errorf("%+v", got[1])
	}
}

// A rule that names the locale sees it, and finds words in it.
func TestLocale(t *testing.T) {
	for _, trial := range trials(t, hosttest.RejectAll, `{"name": "locale", "abi": "ticketing/1", "fields": ["locale"], "capabilities": ["match"], "matchIn": ["locale"], "golden": [
		{"name": "Brazilian", "config": {"match": [["pt-BR"]]}, "item": {"text": "x", "locale": "pt_br"}, "want": {"action": "reject"}},
		{"name": "Portuguese", "config": {"match": [["pt-BR"]]}, "item": {"text": "pt-BR", "locale": "pt"}, "want": {"action": "none"}},
		{"name": "not known", "config": {"match": [["pt-BR"]]}, "item": {"text": "pt-BR"}, "want": {"action": "none"}}
	]}`) {
		if trial.Fault != nil {
			t.Errorf("%s: %+v", trial.Case, trial.Fault)
		}
	}
}

package host_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/abi"
	"ticketing/plugins/host/hosttest"
	"ticketing/plugins/memstate"
)

// manifested returns the guest "ask" with a manifest that has all fields and capabilities but what the test changes.
func manifested(t testing.TB, change func(m map[string]any)) []byte {
	t.Helper()
	m := map[string]any{"name": "ask", "version": "1.0", "abi": abi.Name, "fields": abi.AllFields.Words(), "capabilities": abi.AllCapabilities.Words()}
	change(m)
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	module, err := abi.AppendManifest(hosttest.Ask, text)
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func without[S ~[]string](words S, word ...string) []string {
	var left []string
	for _, w := range words {
		if !strings.Contains(" "+strings.Join(word, " ")+" ", " "+w+" ") {
			left = append(left, w)
		}
	}
	return left
}

func TestCheckReturnsTheManifest(t *testing.T) {
	m, err := newHost(t).Check(manifested(t, func(m map[string]any) { m["fields"] = []string{"text"} }))
	if err != nil || m.Name != "ask" || len(m.Fields) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = newHost(t).Check(hosttest.Ask) // of the first form: what its imports need
	if err != nil || len(m.Fields) != 15 || strings.Join(m.Capabilities, " ") != "match norm hash lists counters kv rand time" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestCheckRefusesWhatTheManifestDoesNotName(t *testing.T) {
	for _, word := range []string{"match", "norm", "hash", "lists", "counters", "kv", "rand", "time"} {
		_, err := newHost(t).Check(manifested(t, func(m map[string]any) { m["capabilities"] = without(abi.AllCapabilities.Words(), word) }))
		refused(t, err, "must name the capability", `"`+word+`"`)
	}
	twice := append(manifested(t, func(map[string]any) {}), manifested(t, func(map[string]any) {})[len(hosttest.Ask):]...)
	_, err := newHost(t).Check(twice)
	refused(t, err, "two manifests")
	_, err = newHost(t).Check(manifested(t, func(m map[string]any) { m["config"] = map[string]any{"type": 7} }))
	refused(t, err, "no JSON Schema")
	_, err = newHost(t).Check(manifested(t, func(m map[string]any) { m["config"] = map[string]any{"$ref": "file:///etc/passwd"} }))
	refused(t, err, "may not refer")
	_, err = newHost(t).Check(manifested(t, func(m map[string]any) {
		m["golden"] = []any{map[string]any{"name": "help", "item": map[string]any{"kind": "ticket", "text": "x"}, "want": map[string]any{}}}
	}))
	refused(t, err, `"help" is about a ticket`)
}

// A rule sees the fields that its manifest names, and no other way leads to the rest.
func TestFieldsAreGranted(t *testing.T) {
	module := manifested(t, func(m map[string]any) { m["fields"] = []string{"title", "text", "author"} })
	j := open(t, []ticketing.Rule{uploaded("ask", module, `{"match": [["ann"]]}`)}, module)
	for title, want := range map[string]int32{
		"name": int32(abi.Denied), "name in the frame": 0, "match the name": int32(abi.Denied), "hash the name": int32(abi.Denied),
		"count the name": int32(abi.Denied), "count": 1,
	} {
		state := memstate.New()
		if o := one(t, j, titled(title, "x"), state); o.Failure != "" || int32(o.Code) != want || title != "count" && state.Len() != 0 {
			t.Errorf("%s: %+v, want code %d", title, o, want)
		}
	}
	all := manifested(t, func(map[string]any) {})
	j = open(t, []ticketing.Rule{uploaded("ask", all, "")}, all)
	for title, want := range map[string]uint32{"name": 3, "name in the frame": 3} {
		if o := one(t, j, titled(title, "x"), nil); o.Code != want {
			t.Errorf("%s: %+v, want code %d", title, o, want)
		}
	}
}

// Time is the item's, and only for those that ask for it. The guest here has no import of it left but the frame.
func TestTimeIsGranted(t *testing.T) {
	item := titled("time", "x")
	for name, want := range map[string]uint32{"with": 0, "without": 1} {
		manifest := `{"name": "r", "abi": "ticketing/1", "fields": ["text"], "capabilities": [` + map[string]string{"with": `"time"`, "without": ""}[name] + `]}`
		module, err := abi.AppendManifest(frameTime(), []byte(manifest))
		if err != nil {
			t.Fatal(err)
		}
		j := open(t, []ticketing.Rule{uploaded("r", module, "")}, module)
		o := one(t, j, item, nil)
		if zero := o.Code == 0; o.Failure != "" || zero != (want == 1) || !zero && o.Code != uint32(item.At.UnixMilli()) {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// frameTime is a rule whose code is the lower half of the frame's time.
func frameTime() []byte {
	return with(func(b *build) {
		b.code = vec(sized([]byte{0, 0x42, 0x80, 0x80, 0x04, 0x0b}), sized([]byte{0, 0x20, 0, 0x35, 2, 8, 0x0b}))
	})
}

func TestConfigSchema(t *testing.T) {
	module := manifested(t, func(m map[string]any) {
		m["config"] = json.RawMessage(`{"type": "object", "required": ["limit"], "additionalProperties": false, "properties": {
			"limit": {"type": "integer", "minimum": 1}, "nested": {"type": "array", "items": {"type": "string", "maxLength": 3}}, "match": {}}}`)
	})
	h := newHost(t, module)
	for config, says := range map[string]string{
		``:                                      "limit",
		`{"limit": 0}`:                          "wrong at /limit: minimum",
		`{"limit": 1, "nested": ["a", "long"]}`: "wrong at /nested/1: maxLength",
		`{"limit": 1, "other": 1}`:              "other",
		`{"limit": 1, "limit": "x"}`:            "wrong at /limit",
	} {
		refused(t, h.Prepare(t.Context(), ruleSet(1, uploaded("ask", module, config))), "The rule ask cannot be used", says)
	}
	if h.Loaded() != 0 {
		t.Errorf("%d versions are loaded", h.Loaded())
	}
	if err := h.Prepare(t.Context(), ruleSet(1, uploaded("ask", module, `{"limit": 3, "match": [["x"]]}`))); err != nil {
		t.Error(err)
	}
}

func TestEffectiveLimits(t *testing.T) {
	h := newHost(t)
	rule := ticketing.Rule{Limits: ticketing.RuleLimits{Fuel: 5_000, HostCalls: 7}}
	m := ticketing.Manifest{Limits: ticketing.RuleLimits{Fuel: 9_000, MemoryPages: 512, HostCalls: 3, LogBytes: 1 << 30, CallDepth: 1 << 30}}
	l := h.Effective(rule, m)
	if l.Fuel != 5_000 || l.HostCalls != 3 || l.MemoryPages != 512 || l.LogBytes != 4<<10 || l.CallDepth != 512 || l.InitFuel != 100_000_000 {
		t.Errorf("%+v", l)
	}
	greedy := ticketing.Manifest{Limits: ticketing.RuleLimits{Fuel: 1 << 40, WallMicros: 1 << 30, HostCalls: 1 << 20, InitFuel: 1 << 40}}
	if l, usual := h.Effective(ticketing.Rule{}, greedy), h.Effective(ticketing.Rule{}, ticketing.Manifest{}); l != usual {
		t.Errorf("a manifest alone gets %+v", l)
	}
	rule.Limits = ticketing.RuleLimits{Fuel: 100_000_000}
	if l := h.Effective(rule, greedy); l.Fuel != 100_000_000 {
		t.Errorf("an operator gives %+v", l)
	}
	if l := h.Effective(ticketing.Rule{}, ticketing.Manifest{}); l.Fuel != 10_000_000 || l.MemoryPages != 256 || l.CallDepth != 512 || l.KVBytes != 4_160 {
		t.Errorf("%+v", l)
	}
}

// Every limit holds, whoever sets it.
func TestLimitsHold(t *testing.T) {
	for _, tc := range []struct {
		title   string
		module  []byte
		limits  ticketing.RuleLimits
		failure string
	}{
		{"now", hosttest.Ask, ticketing.RuleLimits{Fuel: 100}, "fuel"},
		{"calls", hosttest.Probe, ticketing.RuleLimits{HostCalls: 999}, "too many host calls"},
		{"calls", hosttest.Probe, ticketing.RuleLimits{HostCalls: 1000}, ""},
		{"most labels", hosttest.Probe, ticketing.RuleLimits{OutputBytes: 2_000}, "bad output: too much"},
		{"most labels", hosttest.Probe, ticketing.RuleLimits{OutputBytes: 2_048}, ""},
		{"x", hosttest.Recurse, ticketing.RuleLimits{CallDepth: 5}, "call depth"},
		{"x", hosttest.Hog, ticketing.RuleLimits{MemoryPages: 20}, "memory"},
		{"x", hosttest.Hog, ticketing.RuleLimits{}, "memory"},
		{"put most", hosttest.Ask, ticketing.RuleLimits{}, ""},
	} {
		rule := uploaded("r", tc.module, "")
		rule.Limits = tc.limits
		j := open(t, []ticketing.Rule{rule}, tc.module)
		for range 2 {
			if o := one(t, j, titled(tc.title, "x"), memstate.New()); o.Failure != tc.failure || tc.failure != "" && o.Action != ticketing.ActionHold {
				t.Errorf("%s under %+v: %+v, want %q", tc.title, tc.limits, o, tc.failure)
			}
		}
	}
	rule := uploaded("r", hosttest.Ask, "")
	rule.Limits.KVBytes = 10
	j := open(t, []ticketing.Rule{rule}, hosttest.Ask)
	for text, want := range map[string]int32{"123456789": 0, "1234567890": int32(abi.TooBig)} {
		if o := one(t, j, titled("put", text), memstate.New()); int32(o.Code) != want {
			t.Errorf("%s: %+v", text, o)
		}
	}
	rule.Limits = ticketing.RuleLimits{MemoryPages: 1}
	refused(t, newHost(t, hosttest.Ask).Prepare(t.Context(), ruleSet(1, rule)), "KiB of memory")
}

// Depth is per call: a call that fails, and calls that return, leave nothing behind.
func TestDepthStartsAnew(t *testing.T) {
	rule := uploaded("boom", hosttest.Boom, "")
	rule.Limits.CallDepth = 8
	j := open(t, []ticketing.Rule{rule}, hosttest.Boom)
	for range 20 {
		if o := one(t, j, comment("fine"), nil); o.Failure != "" {
			t.Fatalf("%+v", o)
		}
		one(t, j, comment("boom"), nil)
	}
}

// The same call costs the same on every instance, and every time.
func TestFuelIsEqual(t *testing.T) {
	var fuel []uint64
	for range 2 {
		j := open(t, []ticketing.Rule{uploaded("probe", hosttest.Probe, searching)}, hosttest.Probe)
		for range 3 {
			fuel = append(fuel, one(t, j, titled("match 0", strings.Repeat("some text ", 50)), memstate.New()).Fuel)
		}
	}
	for _, f := range fuel {
		if f != fuel[0] || f < 1_000 {
			t.Fatalf("%v", fuel)
		}
	}
}

package preset

import (
	"encoding/json"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/rules"
)

func TestChooseConfig(t *testing.T) {
	const limit = `{"type": "object", "additionalProperties": false, "properties": {
		"limit": {"type": "integer", "default": 3}, "words": {"type": "array"}, "deep": {"type": "object", "properties": {"on": {"default": false}}}}}`
	now := func(config string) ticketing.Preset {
		return ticketing.Preset{Config: json.RawMessage(config), From: "present"}
	}
	for _, tc := range []struct {
		name, schema string
		present      []ticketing.Preset
		config, from string // or, without a config, what the fault says
	}{
		{"the present one fits", limit, []ticketing.Preset{now(`{"limit": 7}`)}, `{"limit": 7}`, "present"},
		{"the first that fits", limit, []ticketing.Preset{now(`{"other": 7}`), now(`{}`)}, `{}`, "present"},
		{"it does not fit", limit, []ticketing.Preset{now(`{"limit": "many"}`)}, `{"deep":{"on":false},"limit":3}`, "the defaults of the schema of v2"},
		{"there is none", limit, nil, `{"deep":{"on":false},"limit":3}`, "the defaults of the schema of v2"},
		{"a default of the whole", `{"default": {"a": 1}, "properties": {"b": {"default": 2}}}`, nil, `{"a":1}`, "the defaults"},
		{"no schema", "", []ticketing.Preset{now(`{"anything": 1}`)}, `{"anything": 1}`, "present"},
		{"nothing at all", "", nil, `{}`, "the defaults"},
		{"a schema without defaults", `{"type": "object"}`, nil, `{}`, "the defaults"},
		{"a member that has no default", `{"required": ["words"]}`, []ticketing.Preset{now(`{}`)}, "", "v2 of r needs a configuration: with the defaults of its schema its configuration is wrong"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := &ticketing.PluginVersion{Name: "r", Version: "v2", Manifest: ticketing.Manifest{Config: json.RawMessage(tc.schema)}}
			got, err := Choose(v, tc.present...)
			if tc.config == "" {
				if err == nil || !strings.Contains(err.Error(), tc.from) {
					t.Errorf("%v, want %q", err, tc.from)
				}
				return
			}
			if err != nil || string(got.Config) != tc.config || !strings.HasPrefix(got.From, tc.from) {
				t.Errorf("%s from %q, %v", got.Config, got.From, err)
			}
		})
	}
}

// TestConfigOfBuiltinRule: a built-in rule is of use as it comes, and its present configuration comes before that.
func TestConfigOfBuiltinRule(t *testing.T) {
	for _, b := range rules.Builtin() {
		v := &ticketing.PluginVersion{Name: b.Name, Version: "v1", Digest: ticketing.DigestOf(b.Module)}
		if got, err := Choose(v); err != nil || string(got.Config) != string(b.Config) || !strings.Contains(got.From, "built-in") {
			t.Errorf("%s: %s from %q, %v", b.Name, got.Config, got.From, err)
		}
		if got, err := Choose(v, ticketing.Preset{Config: json.RawMessage(`{"a": 1}`), From: "present"}); err != nil || got.From != "present" {
			t.Errorf("%s: %s from %q, %v", b.Name, got.Config, got.From, err)
		}
	}
}

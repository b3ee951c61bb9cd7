package host

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ticketing"
)

// doubling is a schema in which every level asks for the one below twice.
func doubling(levels int) string {
	var b strings.Builder
	b.WriteString(`{"$ref": "#/$defs/a0", "$defs": {`)
	for n := range levels {
		fmt.Fprintf(&b, `"a%d": {"allOf": [{"$ref": "#/$defs/a%d"}, {"$ref": "#/$defs/a%d"}]}, `, n, n+1, n+1)
	}
	fmt.Fprintf(&b, `"a%d": {"type": "object"}}}`, levels)
	return b.String()
}

// What a schema has a server do is known before anything is held against it.
func TestSchemasThatTakeForEver(t *testing.T) {
	words := `{"enum": [` + strings.Repeat(`"word",`, maxSchema) + `"last"]}`
	for _, tc := range []struct{ name, schema, says string }{
		{"doubling 40 times", doubling(40), "written out it has more than"},
		{"doubling 12 times", doubling(12), "written out it has more than"},
		{"itself", `{"properties": {"a": {"$ref": "#"}}}`, "refers to itself"},
		{"itself at once", `{"$ref": "#"}`, "refers to itself"},
		{"the schema of schemas", `{"$ref": "https://json-schema.org/draft/2020-12/schema"}`, "config"},
		{"dynamic", `{"$dynamicAnchor": "a", "properties": {"a": {"$dynamicRef": "#a"}}}`, "config"},
		{"long list", words, "written out it has more than"},
		{"pattern", `{"pattern": "(?:a?){900}(?:b?){900}(?:c?){900}"}`, "too large together"},
		{"patterns", `{"properties": {` + strings.Repeat(`"p": {"pattern": "(?:a?){900}"},`, 50) + `"a": {}}, "allOf": [` +
			strings.Repeat(`{"patternProperties": {"(?:a?){900}": {}}}, `, 50) + `{}]}`, "too large together"},
		{"expressions as values", `{"$schema": "http://json-schema.org/draft-07/schema#", "format": "regex"}`, "format regex"},
		{"long number", `{"maximum": 1e1000000}`, "too large or too small"},
	} {
		_, err := compileSchema(json.RawMessage(tc.schema))
		if ticketing.KindOf(err) != ticketing.Invalid || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want Invalid with %q", tc.name, err, tc.says)
		}
	}
	if s, err := compileSchema(json.RawMessage(doubling(10))); err != nil || checkSchema(s, nil) != nil {
		t.Errorf("a schema of 2,000 parts is refused: %v", err)
	}
}

// The larger the schema, the smaller the configurations that it may look at.
func TestConfigsThatTakeForEver(t *testing.T) {
	list := func(n int, element string) string { return "[" + strings.Repeat(element+",", n) + element + "]" }
	for _, tc := range []struct {
		name, schema, config string
		ok                   bool
	}{
		{"words", `{"properties": {"words": {"type": "array", "uniqueItems": true, "items": {"type": "string", "pattern": "^[a-z]+$"}}}}`,
			`{"words": ["a"], "more": ` + list(30_000, `"b"`) + `}`, true},
		{"many parts for many values", `{"additionalProperties": {"items": {"allOf": ` + list(2_000, `{"minLength": 1}`) + `}}}`, `{"a": ` + list(10_000, `"b"`) + `}`, false},
		{"numbers of one hash", `{"additionalProperties": {"uniqueItems": true}}`, `{"a": ` + list(10_000, "1.00000000000000000000001") + `}`, false},
		{"long patterns", `{"additionalProperties": {"pattern": "(?:a?){900}b"}}`, `{"a": "` + strings.Repeat("a", 200_000) + `"}`, false},
		{"long number", `{"properties": {"a": {"maximum": 3}}}`, `{"a": 1e1000000}`, false},
	} {
		s, err := compileSchema(json.RawMessage(tc.schema))
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		err = checkSchema(s, []byte(tc.config))
		if (err == nil) != tc.ok || err != nil && ticketing.KindOf(err) != ticketing.Invalid {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

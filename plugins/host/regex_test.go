package host_test

import (
	"strings"
	"testing"

	"ticketing/plugins/host/hosttest"
)

// What is an expression alone is one beside others, and means the same.
func TestExpressionsThatLeaveSomethingOpen(t *testing.T) {
	j := probe(t, `{"regex": [["\\Qa.b", "(?i)x", "y$|^z"]]}`)
	for text, want := range map[string]uint32{"a.b": 0, "aXb": 1, "yy": 2, "za": 2, "y a.b": 0, "axb": 1} {
		if o := one(t, j, titled("regex 0", text), nil); o.Failure != "" || o.Score != uint16(want) {
			t.Errorf("%s: %+v", text, o)
		}
	}
}

// A search for expressions cannot be stopped, so that it is paid for before: a byte costs what it may take with these expressions.
func TestExpressionsCostTheirSize(t *testing.T) {
	const large = `{"regex": [["(?:a?){900}b"]]}` // 1,800 instructions
	short, long := strings.Repeat("a", 100), strings.Repeat("a", 20_000)
	j := probe(t, large)
	first := one(t, j, titled("regex 0", short), nil)
	if again := one(t, j, titled("regex 0", short), nil); first.Failure != "" || first.Fuel < 90_000 || again.Fuel != first.Fuel {
		t.Errorf("100 bytes: %+v, then %+v", first, again)
	}
	if o := one(t, j, titled("regex 0", long), nil); o.Failure != "fuel" {
		t.Errorf("20,000 bytes: %+v", o)
	}
	if o := one(t, probe(t, `{"regex": [["(?i)\\b(viagra|casino)\\b", "b0+m"]]}`), titled("regex 0", long), nil); o.Failure != "" {
		t.Errorf("people's expressions: %+v", o)
	}
	nine := `{"regex": [["` + strings.TrimSuffix(strings.Repeat(`(?:a?){1000}b","`, 9), `,"`) + `]]}`
	refused(t, newHost(t, hosttest.Probe).Prepare(t.Context(), ruleSet(1, uploaded("r", hosttest.Probe, nine))), "too large together")
}

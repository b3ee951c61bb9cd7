package host_test

import (
	"strings"
	"testing"

	"ticketing/plugins/host/hosttest"
)

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

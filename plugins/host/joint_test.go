package host_test

import (
	"fmt"
	"strings"
	"testing"

	"ticketing"
	"ticketing/plugins/host/hosttest"
)

// What a rule finds does not depend on the rules beside it, nor does what it pays: words are looked for once for all rules, but
// every rule has its own sets.
func TestRulesFindTheirOwnWords(t *testing.T) {
	var rules []ticketing.Rule
	for n := range 10 {
		config := fmt.Sprintf(`{"match": [["word%d", "both", "só%d"], ["word%d"]]}`, n, n, (n+1)%10)
		rules = append(rules, uploaded(fmt.Sprint("r", n), hosttest.Probe, config))
	}
	shadowed := rules[3]
	shadowed.Shadow = candidate(hosttest.Probe, 0)
	shadowed.Shadow.Config = []byte(`{"match": [["word5"], []]}`)
	rules[3] = shadowed
	h := newHost(t, hosttest.Probe)
	j := openIn(t, h, ruleSet(1, rules...))
	for _, text := range []string{"nothing", "word3", "word3 and word4 and both", "SÓ7 word9", strings.Repeat("word1 ", 100)} {
		for _, title := range []string{"match 0", "match 1", "match 9"} {
			item := titled(title, text)
			got := j.Judge(item, nil)
			for i, o := range got.Outcomes {
				alone := rules[i]
				alone.Shadow = nil
				want, _, err := h.Try(t.Context(), alone, item)
				if err != nil || o.Score != want.Score || o.Code != want.Code || o.Fuel != want.Fuel || o.Failure != "" {
					t.Fatalf("%q in %q: rule %d with the others: %+v, alone: %+v, %v", title, text, i, o, want, err)
				}
			}
			if s := got.Shadows[0]; s.Failure != "" || (s.Score == 0) != (title == "match 0" && strings.Contains(text, "word5")) {
				t.Errorf("%q in %q: the shadow: %+v", title, text, s)
			}
		}
	}
}

package gateway

import (
	"testing"

	"ticketing"
)

// A promotion to an older version needs a word of its own: that the version was let in as a shadow says nothing.
func TestPromotionAsksForOlder(t *testing.T) {
	r := &ticketing.Rule{Name: "links", Active: ticketing.Digest{2}, Version: "v2", Shadow: &ticketing.Candidate{Digest: ticketing.Digest{1}, Version: "v1"}}
	for _, to := range []string{"canary", "active"} {
		for _, older := range []bool{false, true} {
			c, err := promoted(r, &promoteInput{To: to, Older: older})
			if err != nil || c.Older != older {
				t.Errorf("to %s, asked %v: %v, %v", to, older, c.Older, err)
			}
		}
	}
}

// A promotion leaves the limits as they are, or sets all of them.
func TestPromotionSetsLimits(t *testing.T) {
	had, none := ticketing.RuleLimits{Fuel: 7, HostCalls: 8}, ticketing.RuleLimits{}
	r := &ticketing.Rule{Name: "links", Active: ticketing.Digest{2}, Version: "v2", Limits: had, Shadow: &ticketing.Candidate{Digest: ticketing.Digest{1}, Version: "v1"}}
	for _, tc := range []struct {
		asked *ticketing.RuleLimits
		want  ticketing.RuleLimits
	}{{nil, had}, {&none, none}, {&ticketing.RuleLimits{Fuel: 9}, ticketing.RuleLimits{Fuel: 9}}} {
		if c, err := promoted(r, &promoteInput{Limits: tc.asked}); err != nil || c.Limits != tc.want {
			t.Errorf("asked %+v: %+v, %v", tc.asked, c.Limits, err)
		}
	}
}

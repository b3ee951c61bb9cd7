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
